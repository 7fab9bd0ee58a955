# The stacked hourglass of Newell et al. with 8 stacks, supervised at the finest level alone. A
# config adds the decoder.
model = dict(
    type='ConditionalTopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(type='MultiScaleHourglass', num_keypoints=16, num_stacks=8, levels=(1, )),
    head=dict(type='MSSHead', loss=dict(type='StructureAwareLoss')),
    # MSRAHeatmap has cell i at input pixel 4 i, the mirror image has it at 4 i + 3: shift by a cell
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True))
