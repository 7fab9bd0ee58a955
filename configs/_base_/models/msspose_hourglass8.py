# MSSPose: 8 stacks with multi-scale supervision (§3.1), the regression network behind them (§3.2)
# and the structure-aware loss at every level of both (§3.3). alpha and the regression network's
# design are ours. A config adds the decoder.
model = dict(
    type='ConditionalTopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(type='MultiScaleHourglass', num_keypoints=16, num_stacks=8, context='stem'),
    head=dict(
        type='MSRHead',
        num_keypoints=16,
        loss=dict(type='StructureAwareLoss', skeleton='mpii', alpha=0.1)),
    # MSRAHeatmap has cell i at input pixel 4 i, the mirror image has it at 4 i + 3: shift by a cell
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True))
