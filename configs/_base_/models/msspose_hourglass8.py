# MSSPose: 8 stacks with multi-scale supervision (§3.1), the regression network behind them (§3.2)
# and the structure-aware loss at every level of both (§3.3). alpha (docs/results.md) and the
# regression network's design are ours. A config adds the decoder.
_base_ = './hourglass8.py'

model = dict(
    backbone=dict(levels=(8, 4, 2, 1), context='stem'),
    head=dict(
        type='MSRHead',
        num_keypoints=16,
        loss=dict(skeleton='mpii', alpha=0.05)))
