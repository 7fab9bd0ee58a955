# COCO for MLPE. Augmentation of its release: scale 0.7-1.35, rotation +-45 degrees, flips; that
# every sample is rotated, and sigma, are ours. The codec draws the Gaussian of the coarsest level,
# from which the head makes the others. 3 sigma must be whole: otherwise MSRAHeatmap draws one pixel
# off near the left and upper edge.
_base_ = './coco_256x256.py'

codec = dict(type='MSRAHeatmap', input_size=(192, 256), heatmap_size=(48, 64), sigma=3.)

_base_.train_dataloader.dataset.pipeline[3].update(rotate_factor=45., scale_factor=(0.7, 1.35))
_base_.train_dataloader.dataset.pipeline[4].input_size = codec['input_size']
_base_.train_dataloader.dataset.pipeline[5].encoder = codec
_base_.val_dataloader.dataset.pipeline[3].input_size = codec['input_size']
_base_.test_dataloader.dataset.pipeline[3].input_size = codec['input_size']

# ResNeSt normalises over one pixel per sample, so that a batch of one sample cannot be trained on
train_dataloader = dict(batch_size=32, drop_last=True)
val_dataloader = dict(batch_size=32)
test_dataloader = dict(batch_size=32)

# the score of a person is its box's times the mean of all its keypoints'
val_evaluator = dict(keypoint_score_thr=0.)
test_evaluator = dict(keypoint_score_thr=0.)
