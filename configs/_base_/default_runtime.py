_base_ = 'mmpose::_base_/default_runtime.py'

custom_imports = dict(imports=['mspose_plugin'])

default_hooks = dict(
    checkpoint=dict(
        type='AtomicCheckpointHook', interval=1, max_keep_ckpts=2, save_best='PCKh',
        rule='greater'),
    checkpoint_fit=dict(type='CheckpointFitHook'),
    exact_resume=dict(type='ExactResumeHook'),
    finite_loss=dict(type='FiniteLossHook', patience=5),
    loader_timeout=dict(type='LoaderTimeoutHook', seconds=600),
    work_dir_lock=dict(type='WorkDirLockHook'))
