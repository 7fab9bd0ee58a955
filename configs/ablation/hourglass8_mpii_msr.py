# Row 3, after stage 2: + multi-scale regression network. As row 4, without structure in the loss.
_base_ = './hourglass8_mpii_structure-aware.py'

model = dict(head=dict(loss=dict(_delete_=True, type='StructureAwareLoss')))
