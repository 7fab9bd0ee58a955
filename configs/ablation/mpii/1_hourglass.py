# Row 1 of the paper's ablation (§4.3), after stage 1: the stacked hourglass. The paper tests this
# row with six scales: 1_hourglass_six_scales.py.
_base_ = [
    '../../_base_/models/hourglass8.py',
    '../../_base_/datasets/mpii_256x256.py',
    '../../_base_/schedules/plateau.py',
]

model = dict(head=dict(decoder=_base_.codec))
