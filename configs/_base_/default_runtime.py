_base_ = 'mmpose::_base_/default_runtime.py'

custom_imports = dict(imports=['mspose_plugin'])

default_hooks = dict(
    checkpoint=dict(
        type='AtomicCheckpointHook', interval=1, max_keep_ckpts=2, save_best='PCKh',
        rule='greater'),
    checkpoint_fit=dict(type='CheckpointFitHook'),
    exact_resume=dict(type='ExactResumeHook'))
