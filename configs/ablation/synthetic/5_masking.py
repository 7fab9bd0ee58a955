# Row 5 of the paper's ablation on synthetic people: + keypoint masking, the complete method.
_base_ = '../../demo/msspose_synthetic_stages.py'
