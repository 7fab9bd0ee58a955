# COCO for MLPE at the larger size; sigma is ours.
_base_ = './coco_256x192.py'

codec = dict(input_size=(288, 384), heatmap_size=(72, 96), sigma=4.)

_base_.train_dataloader.dataset.pipeline[4].input_size = codec['input_size']
_base_.train_dataloader.dataset.pipeline[5].encoder.update(codec)
_base_.val_dataloader.dataset.pipeline[3].input_size = codec['input_size']
_base_.test_dataloader.dataset.pipeline[3].input_size = codec['input_size']

train_dataloader = dict(batch_size=12)
