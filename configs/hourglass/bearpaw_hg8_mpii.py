# bearpaw/pytorch-pose, 8 stacks; weights: hourglass://bearpaw_hg8. MPII's mean colour is taken off.
_base_ = '../_base_/hourglass_mpii.py'

model = dict(
    data_preprocessor=dict(mean=[255 * 0.4404, 255 * 0.4440, 255 * 0.4327]),
    backbone=dict(stem_channels=(64, 128, 256)))
