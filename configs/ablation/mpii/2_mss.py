# Row 2: + multi-scale supervision; no regression network, hence one stage of the same length.
_base_ = './3_msr.py'

model = dict(
    backbone=dict(context=None),
    head=dict(
        _delete_=True, type='MSSHead', loss=dict(type='StructureAwareLoss'),
        decoder=_base_.codec))
default_hooks = dict(stages=None)
