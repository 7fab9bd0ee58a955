# MLPE, row c of the ablation: ResNeSt-50, feature enhancement, transposed convolutions, k = 3.
# A config adds the decoder. checkpoint: ImageNet weights, OpenMMLab's conversion of the official
# ones; tools/convert_checkpoint.py makes the same of the official or timm's file.
model = dict(
    type='ConditionalTopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='ResNeSt',
        depth=50,
        stem_channels=64,
        out_indices=(0, 1, 2, 3),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='mmcls://resnest50',
            prefix='backbone.',
            strict=True)),
    # lateral_skips: ours; the authors' release has none
    neck=dict(
        type='MultiLevelNeck', upsample='deconv', lateral_skips=True, feature_enhancement=True),
    head=dict(
        type='MLPEHead',
        num_keypoints=17,
        prediction_kernel=3,
        sigmas=(3.0, 2.5, 2.0, 1.5),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        fine_loss=dict(type='HardKeypointMSELoss', topk=8)),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True))
