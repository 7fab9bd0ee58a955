# MPII's test set: tools/test.py writes the file that MPII's benchmark evaluates. The benchmark goes
# by the order of images and persons in MPII's own annotations (mpii_human_pose_v1_u12_1.mat).
_base_ = './msspose_hourglass8_mpii_trainval.py'

test_dataloader = dict(dataset=dict(ann_file='annotations/mpii_test.json', headbox_file=None))
test_evaluator = dict(
    _delete_=True,
    type='MpiiSubmission',
    out_file='work_dirs/msspose_hourglass8_mpii_test/pred_keypoints_mpii.mat',
    release_file=f'{_base_.data_root}annotations/mpii_human_pose_v1_u12_1.mat')
