# What the parts of MSSPose are worth on photographs: the rows of ablation_msspose.py, trained on
# photographic drawn people.
_base_ = './photographs_drawing.py'

_steps = [
    *_base_.pre_transform, *_base_.augmentation, _base_.crop, _base_.colours, _base_.target,
    *_base_.last_transform
]
train_dataloader = dict(dataset=dict(pipeline=_steps))
_masked = {'train_dataloader.dataset.pipeline': _base_.photographic_pipeline}

variants = {
    '_delete_': True,
    'hourglass': _base_.single,
    'mss': {},
    'mss_longer': {**_base_.further, 'start_from': 'mss'},
    'msr': {
        **_base_.regression, **_base_.head_alone, 'start_from': 'mss',
        'against': ('mss', 'mss_longer')},
    'structure_aware': {
        **_base_.complete, **_base_.head_alone, 'start_from': 'mss', 'against': 'msr'},
    'joint': {**_base_.complete, 'start_from': 'structure_aware'},
    'masking': {
        **_base_.complete, **_masked, 'start_from': 'structure_aware',
        'against': ('structure_aware', 'joint')},
}
