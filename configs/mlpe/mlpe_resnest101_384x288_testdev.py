# Row f on test-dev2017: writes work_dirs/mlpe_testdev.keypoints.json, for COCO's server.
_base_ = './mlpe_resnest101_384x288.py'

test_dataloader = dict(
    dataset=dict(
        ann_file='annotations/image_info_test-dev2017.json',
        data_prefix=dict(img='test2017/'),
        bbox_file=f'{_base_.data_root}person_detection_results/'
        'COCO_test-dev2017_detections_AP_H_609_person.json'))
test_evaluator = dict(
    ann_file=f'{_base_.data_root}annotations/image_info_test-dev2017.json',
    format_only=True,
    outfile_prefix='work_dirs/mlpe_testdev')
