# Row 1 of the paper's ablation (§4.3), after stage 1: the stacked hourglass. The paper tests this
# row with six scales: hourglass8_mpii_six-scales.py.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/hourglass8.py',
    '../_base_/datasets/mpii_topdown.py',
    '../_base_/pipelines/topdown_256x256.py',
    '../_base_/schedules/plateau.py',
]

model = dict(head=dict(decoder=_base_.codec))

train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader

train_cfg = _base_.train_loop
