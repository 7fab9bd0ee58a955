# COCO for MLPE as its release trains and tests. The codec draws the Gaussian of the coarsest level,
# from which the head makes the others; as in CPN, a cell stands for the middle of its pixels.
_base_ = ['./coco_256x256.py', '../pipelines/mlpe.py']

codec = dict(
    type='GaussianHeatmap', input_size=(192, 256), heatmap_size=(48, 64), sigma=2.6,
    cell_offset=0.5, refine='second_peak', blur_kernel_size=21)

crop = dict(
    type='BorderedTopdownAffine', input_size=codec['input_size'], border=_base_.border)
target = dict(type='GenerateTarget', encoder=codec)
train_pipeline = [*_base_.augmented, crop, *_base_.coloured, target, *_base_.packed]
val_pipeline = [*_base_.loaded, crop, dict(type='PackPoseInputs')]

# ResNeSt normalises over one pixel per sample, so that a batch of one sample cannot be trained on
train_dataloader = dict(batch_size=32, drop_last=True, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

# score of a person: its box's times the mean of (keypoint's + 0.5); no OKS-NMS
val_evaluator = dict(type='RescoredCocoMetric', score_offset=0.5, nms_mode='none')
test_evaluator = val_evaluator
