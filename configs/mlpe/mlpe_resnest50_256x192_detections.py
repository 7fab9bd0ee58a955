# Row c, tested on a person detector's boxes: the file that MMPose's and HRNet's results use.
_base_ = './mlpe_resnest50_256x192.py'

test_dataloader = dict(
    dataset=dict(
        bbox_file=f'{_base_.data_root}person_detection_results/'
        'COCO_val2017_detections_AP_H_56_person.json'))
