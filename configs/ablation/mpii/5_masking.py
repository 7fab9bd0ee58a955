# Row 5 of the paper's ablation: + keypoint masking, the complete method.
_base_ = '../../msspose_hourglass8_mpii.py'
