# What the parts of MSSPose are worth on photographs: the rows of ablation_msspose.py, trained on
# photographic drawn people, 1000 steps and 500 for each further stage.
_base_ = './photographs_drawing.py'

_steps = [
    *_base_.pre_transform, *_base_.augmentation, _base_.crop, _base_.colours, _base_.target,
    *_base_.last_transform
]
train_dataloader = dict(dataset=dict(pipeline=_steps))
_masked = {'train_dataloader.dataset.pipeline': _base_.photographic_pipeline}
_further = {
    'train_cfg.max_epochs': 4,
    'param_scheduler': [dict(_base_.one_cycle, total_steps=4)],
}
_regression = {
    **_further,
    'model.backbone.context': 'stem',
    'model.head': dict(_base_.msr_head, channels=64, context_channels=64),
}
_complete = {**_regression, 'model.head.loss': _base_.structure}
_head_alone = {
    'default_hooks.stages': dict(
        type='StageScheduleHook', stages=[dict(name='msr', epochs=4, train=['head'])]),
}

variants = {
    '_delete_': True,
    'hourglass': _base_.single,
    'mss': {},
    'mss_longer': {**_further, 'start_from': 'mss'},
    'msr': {
        **_regression, **_head_alone, 'start_from': 'mss', 'against': ('mss', 'mss_longer')},
    'structure_aware': {**_complete, **_head_alone, 'start_from': 'mss', 'against': 'msr'},
    'joint': {**_complete, 'start_from': 'structure_aware'},
    'masking': {
        **_complete, **_masked, 'start_from': 'structure_aware',
        'against': ('structure_aware', 'joint')},
}
