# With the published hourglasses' heatmap cells: cell i stands for input pixel 4 (i + 0.5), so that a
# flip test needs no shift (test_cfg.shift_heatmap=False); the highest cell is moved by a quarter
# towards its larger neighbour.
_base_ = './topdown_256x256.py'

codec = dict(_base_.codec, type='GaussianHeatmap', cell_offset=0.5, refine='quarter')

target = dict(type='GenerateTarget', encoder=codec)
train_pipeline = [
    *_base_.pre_transform, *_base_.augmentation, _base_.crop, target, *_base_.last_transform
]
train_pipeline_masked = [
    *_base_.pre_transform, *_base_.augmentation, _base_.crop, _base_.masking, target,
    *_base_.last_transform
]
