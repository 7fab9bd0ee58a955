# Augmentation as in MSSPose §4.1: rotation +-30 degrees, scale 0.75-1.25, flips. That every
# sample is rotated, and that the box is not shifted, is ours. The model decodes with the same codec.
input_size = (256, 256)
codec = dict(
    type='MSRAHeatmap', input_size=input_size,
    heatmap_size=tuple(side // 4 for side in input_size), sigma=1)

boxes = dict(type='GetBBoxCenterScale', padding=1.25)
pre_transform = [boxes]
load = dict(type='LoadPersonImage', input_size=input_size, skip_broken=True)
# the box comes first, so that no more of the image has to be mirrored than the crop shows
augmentation = [
    dict(
        type='FastRandomBBoxTransform',
        shift_prob=0.,
        rotate_factor=30.,
        rotate_prob=1.,
        scale_factor=(0.75, 1.25),
        scale_prob=1.),
    load,
    dict(type='RandomFlip', direction='horizontal'),
]
crop = dict(type='BorderedTopdownAffine', input_size=input_size)
masking = dict(type='KeypointMasking')  # §3.4, in the last stage of training
target = dict(type='GenerateTarget', encoder=codec)
last_transform = [dict(type='PackPoseInputs')]
val_pre_transform = [dict(type='KeepOriginalImage'), dict(type='LoadImageChecked'), boxes]

train_pipeline = [*pre_transform, *augmentation, crop, target, *last_transform]
train_pipeline_masked = [*pre_transform, *augmentation, crop, masking, target, *last_transform]
val_pipeline = [*val_pre_transform, crop, *last_transform]
