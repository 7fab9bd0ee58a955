# Row 4, after stage 2: + structure-aware loss.
_base_ = './3_msr.py'

model = dict(head=dict(loss=dict(skeleton='mpii', alpha=0.1)))
