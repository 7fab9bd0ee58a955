# Both methods: our variant with MSSPose's structure-aware loss at every level and keypoint masking.
_base_ = './mlpe_resnest50_256x192_skips.py'

width, height = _base_.codec.heatmap_size
loss = dict(
    _delete_=True,
    type='StructureAwareLoss',
    skeleton='coco',
    alpha=0.05,
    # the sum over pixels is then half the mean over them, as it is without
    loss_weight=0.5 * 255**2 / (width * height))
model = dict(head=dict(loss=loss))

train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline_masked))
