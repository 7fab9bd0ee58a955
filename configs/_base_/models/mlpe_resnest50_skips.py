# Ours: MLPE with the backbone's finer features added to each level, images normalised as the
# ImageNet weights were trained, and occluded keypoints counted like visible ones.
_base_ = './mlpe_resnest50.py'

model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    neck=dict(lateral_skips=True),
    head=dict(occluded_in_levels='count'))
