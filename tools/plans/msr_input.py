# What the regression network reads beside the last stack's heatmaps, with two stacks of 64 channels
# and the MSS-net fixed, 500 steps, against as many further steps of the MSS-net.
_base_ = './ablation_msspose.py'

model = dict(backbone=dict(num_stacks=2, channels=64))


def _reads(context, channels, stacks=1):
    return {
        **_base_.complete,
        **_base_.head_alone,
        'model.backbone.context': context,
        'model.head': dict(
            _base_.msr_head, channels=64, context_channels=channels, input_stacks=stacks,
            loss=_base_.structure),
        'start_from': 'mss',
        'against': ('longer', 'nothing'),
    }


variants = {
    '_delete_': True,
    'mss': {},
    'longer': {**_base_.further, 'start_from': 'mss'},
    'nothing': {**_reads(None, 0), 'against': 'longer'},
    'image': _reads('image', 3),
    'stem': _reads('stem', 64),
    'all_stacks': _reads(None, 0, 2),
    'all_stacks_stem': {**_reads('stem', 64, 2), 'against': ('longer', 'stem')},
}
