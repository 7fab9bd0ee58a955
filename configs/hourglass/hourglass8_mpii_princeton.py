# princeton-vl/pytorch_stacked_hourglass, 8 stacks; weights by mspose convert. Fed with
# RGB in [0, 1].
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/hourglass8.py',
    '../_base_/datasets/mpii_topdown.py',
    '../_base_/pipelines/topdown_256x256_cells.py',
    '../_base_/schedules/plateau.py',
]

model = dict(
    data_preprocessor=dict(mean=[0.] * 3, std=[255.] * 3),
    head=dict(decoder=_base_.codec),
    test_cfg=dict(shift_heatmap=False))

train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader

train_cfg = _base_.train_loop
