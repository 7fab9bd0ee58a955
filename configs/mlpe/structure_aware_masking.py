# Both methods: row c with MSSPose's structure-aware loss at every level, and keypoint masking.
# loss_weight makes the sum over pixels the mean that the other losses are (48x64 heatmaps).
_base_ = './c_deconv.py'

model = dict(
    head=dict(
        loss=dict(
            _delete_=True,
            type='StructureAwareLoss',
            skeleton='coco',
            alpha=0.1,
            loss_weight=1 / (48 * 64))))
_pipeline = _base_.train_dataloader.dataset.pipeline
train_dataloader = dict(
    dataset=dict(
        pipeline=[*_pipeline[:5], dict(type='KeypointMasking'), *_pipeline[5:]]))
