# Augmentation as in MSSPose §4.1: rotation +-30 degrees, scale 0.75-1.25, flips. That every
# sample is rotated, and that the box is not shifted, is ours. The model decodes with the same codec.
codec = dict(type='MSRAHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=1)

train_pipeline = [
    dict(type='LoadImageChecked', skip_broken=True),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_prob=0.,
        rotate_factor=30.,
        rotate_prob=1.,
        scale_factor=(0.75, 1.25),
        scale_prob=1.),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
# keypoint masking (§3.4), in the last stage of training
train_pipeline_masked = [*train_pipeline[:5], dict(type='KeypointMasking'), *train_pipeline[5:]]
val_pipeline = [
    dict(type='KeepOriginalImage'),
    dict(type='LoadImageChecked'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
