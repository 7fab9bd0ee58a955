# What the regression network reads beside the last stack's heatmaps, with two stacks and the MSS-net
# fixed, 500 steps, against as many further steps of the MSS-net.
_base_ = './ablation_msspose.py'

_two = {'model.backbone.num_stacks': 2}


def _reads(context, channels, stacks=1):
    return {
        **_base_.complete,
        **_base_.head_alone,
        **_two,
        'model.backbone.context': context,
        'model.head.context_channels': channels,
        'model.head.input_stacks': stacks,
        'start_from': 'mss',
        'against': ('longer', 'nothing'),
    }


variants = {
    '_delete_': True,
    'mss': _two,
    'longer': {**_base_.further, **_two, 'start_from': 'mss'},
    'nothing': {**_reads(None, 0), 'against': 'longer'},
    'image': _reads('image', 3),
    'stem': _reads('stem', 128),
    'all_stacks': _reads(None, 0, 2),
    'all_stacks_stem': {**_reads('stem', 128, 2), 'against': ('longer', 'stem')},
}
