# Row 4: + structure-aware loss; no keypoint masking.
_base_ = './5_masking.py'

_base_.default_hooks.stages.stages[2].pipeline = None
