"""Checkpoints: safe loading, published weights and their conversion, hooks that save and load.

Nothing is imported here: ``loading`` must be there before MMPose, ``hooks`` needs it.
"""
