# Both methods: our variant with MSSPose's structure-aware loss at every level and keypoint masking.
# loss_weight makes the sum over pixels half the mean over them, as it is without (48x64 heatmaps).
_base_ = './ours_resnest50_256x192.py'

model = dict(
    head=dict(
        loss=dict(
            _delete_=True,
            type='StructureAwareLoss',
            skeleton='coco',
            alpha=0.1,
            loss_weight=0.5 * 255**2 / (48 * 64))))
train_pipeline = [
    *_base_.augmented, _base_.crop, dict(type='KeypointMasking'), *_base_.coloured, _base_.target,
    *_base_.packed
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
