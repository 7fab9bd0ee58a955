# COCO as MLPE's release trains and tests on it.
_base_ = './coco_topdown.py'

# ResNeSt normalises over one pixel per sample, so that a batch of one sample cannot be trained on
train_dataloader = dict(batch_size=32, drop_last=True)
val_dataloader = dict(batch_size=32)
test_dataloader = val_dataloader

# score of a person: its box's times the mean of (keypoint's + 0.5); no OKS-NMS
val_evaluator = dict(type='RescoredCocoMetric', score_offset=0.5, nms_mode='none')
test_evaluator = val_evaluator
