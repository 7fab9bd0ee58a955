# Row 3: + multi-scale regression network; the plain multi-scale loss.
_base_ = './4_structure_aware.py'

model = dict(head=dict(loss=dict(alpha=0.)))
