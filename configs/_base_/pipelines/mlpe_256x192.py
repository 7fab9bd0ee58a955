# MLPE's release: each person comes four times an epoch, plain, flipped and twice rotated; here once,
# drawn with those shares, for four times the epochs. MMPose draws scales and angles from a truncated
# normal distribution (release: uniform).
input_size = (192, 256)
# The codec draws the Gaussian of the coarsest level, from which the head makes the others; as in
# CPN, a cell stands for the middle of its pixels.
level_sigmas = (2.6, 2.0, 1.7, 1.4)
codec = dict(
    type='GaussianHeatmap', input_size=input_size,
    heatmap_size=tuple(side // 4 for side in input_size), sigma=max(level_sigmas),
    cell_offset=0.5, refine='second_peak', blur_kernel_size=21)

boxes = dict(type='GetBBoxCenterScale', padding=(1.2, 1.3))  # of width and height
pre_transform = [dict(type='LoadImageChecked', skip_broken=True), boxes]
augmentation = [
    dict(  # first, because it sets the rotation to 0
        type='RandomBBoxTransform', shift_prob=0., rotate_prob=0., scale_factor=(0.7, 1.25),
        scale_prob=1.),
    dict(
        type='RandomChoice',
        transforms=[
            [],
            [dict(type='RandomFlip', prob=1.)],
            [dict(
                type='RandomBBoxTransform', shift_prob=0., scale_prob=0., rotate_factor=45.,
                rotate_prob=1.)],
        ],
        prob=[0.25, 0.25, 0.5]),
]
border = (102.9801, 115.9465, 122.7717)  # the mean colour, BGR
crop = dict(type='BorderedTopdownAffine', input_size=input_size, border=border)
after_crop = [
    dict(type='RandomChannelScale', scale=(0.8, 1.2)),
    dict(type='IgnoreCroppedKeypoints'),
]
target = dict(type='GenerateTarget', encoder=codec)
pack = dict(type='PackPoseInputs')
last_transform = [dict(type='MarkOccluded'), pack]
val_pre_transform = [dict(type='KeepOriginalImage'), dict(type='LoadImageChecked'), boxes]

train_pipeline = [
    *pre_transform, *augmentation, crop, *after_crop, target, *last_transform
]
val_pipeline = [*val_pre_transform, crop, pack]
