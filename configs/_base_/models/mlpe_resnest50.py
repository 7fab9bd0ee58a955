# MLPE, row c of the ablation, as released: ResNeSt-50, feature enhancement, transposed
# convolutions, k = 3, no lateral skips; images in [0, 1] minus CPN's mean. A config adds sigmas and
# decoder. checkpoint: ImageNet weights, OpenMMLab's conversion of the official ones;
# mspose convert makes the same of the official or timm's file.
model = dict(
    type='ConditionalTopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[122.7717, 115.9465, 102.9801],
        std=[255., 255., 255.],
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
    neck=dict(
        type='MultiLevelNeck', upsample='deconv', lateral_skips=False, feature_enhancement=True),
    # 255**2: see schedules/adam_step.py
    head=dict(
        type='MLPEHead',
        num_keypoints=17,
        prediction_kernel=3,
        loss=dict(type='KeypointMSELoss', use_target_weight=True, loss_weight=0.5 * 255**2),
        fine_loss=dict(type='HardKeypointMSELoss', topk=8, loss_weight=255.**2),
        occluded_in_levels='empty'),
    test_cfg=dict(
        flip_test=True, flip_mode='heatmap', shift_heatmap=False,
        border=(102.9801, 115.9465, 122.7717)))
