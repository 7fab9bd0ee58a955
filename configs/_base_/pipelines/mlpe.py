# What MLPE's pipelines share, whatever the codec: augmented, crop, coloured, target, packed. The
# release has each person four times an epoch, plain, flipped and twice rotated; here once, drawn
# with those shares, for four times the epochs. MMPose draws scales and angles from a truncated
# normal distribution (release: uniform).
border = (102.9801, 115.9465, 122.7717)  # of the crop: the mean colour, BGR

_boxes = dict(type='GetBBoxCenterScale', padding=(1.2, 1.3))  # of width and height
augmented = [
    dict(type='LoadImageChecked', skip_broken=True),
    _boxes,
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
coloured = [
    dict(type='RandomChannelScale', scale=(0.8, 1.2)),
    dict(type='IgnoreCroppedKeypoints'),
]
packed = [dict(type='MarkOccluded'), dict(type='PackPoseInputs')]
loaded = [dict(type='KeepOriginalImage'), dict(type='LoadImageChecked'), _boxes]
