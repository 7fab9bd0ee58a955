# MSSPose on COCO: not in the paper.
_base_ = [
    '_base_/models/msspose_hourglass8.py',
    '_base_/datasets/coco_256x256.py',
    '_base_/schedules/msspose_stages.py',
]

model = dict(
    backbone=dict(num_keypoints=17),
    head=dict(num_keypoints=17, loss=dict(skeleton='coco'), decoder=_base_.codec))
_base_.default_hooks.stages.stages[2].pipeline = _base_.train_pipeline_masked
_base_.default_hooks.checkpoint.save_best = 'coco/AP'
_base_.param_scheduler[0].monitor = 'coco/AP'
