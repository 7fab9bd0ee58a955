# Published hourglasses on MPII: fed with RGB in [0, 1]; heatmap cell i stands for input pixel
# 4 (i + 0.5), so that a flip test needs no shift; the highest cell is moved by a quarter towards
# its larger neighbour.
_base_ = [
    './models/hourglass8.py',
    './datasets/mpii_256x256.py',
    './schedules/plateau.py',
]

codec = dict(
    type='GaussianHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=1,
    cell_offset=0.5, refine='quarter')
model = dict(
    data_preprocessor=dict(mean=[0., 0., 0.], std=[255., 255., 255.]),
    head=dict(decoder=codec),
    test_cfg=dict(shift_heatmap=False))
train_pipeline = [
    dict(step, encoder=codec) if 'encoder' in step else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
