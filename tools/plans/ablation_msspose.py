# The paper's ablation (MSSPose §4.3) on synthetic people, small: one stack of 128 channels at
# 128x128, batches of 16, 1000 steps for the first stage and 500 for each further one. Every stage
# goes on from the one before it, as in the paper, and stands against as many further steps without
# what it adds. Fewer steps than in the paper: only what is seen here is said here.
_base_ = '../../configs/demo/msspose_synthetic.py'

seeds = (0, 1, 2)
synthetic = dict(out='work_dirs/ablation/data', layout='mpii', train=8000, val=3000, seed=7)
data_root = 'work_dirs/ablation/data/'
train_dataloader = dict(batch_size=16, dataset=dict(data_root=data_root))
val_dataloader = dict(
    dataset=dict(data_root=data_root, headbox_file=f'{data_root}annotations/mpii_gt_val.mat'))
train_cfg = dict(max_epochs=2)  # 500 steps each

structure = dict(type='StructureAwareLoss', skeleton='mpii', alpha=0.1)
msr_head = dict(
    type='MSRHead', num_keypoints=16, levels=(4, 2, 1), channels=128, depth=3,
    context_channels=128)
further = {
    'train_cfg.max_epochs': 1,
    'param_scheduler': [dict(_base_.one_cycle, total_steps=1)],
}
regression = {
    **further,
    'model.backbone.context': 'stem',
    'model.head': msr_head,
}
head_alone = {
    'default_hooks.stages': dict(
        type='StageScheduleHook', stages=[dict(name='msr', epochs=1, train=['head'])]),
}
complete = {**regression, 'model.head.loss': structure}
single = {'model.backbone.levels': (1, )}

variants = {
    'hourglass': single,
    'hourglass_six_scales': {
        **single, 'weights_of': 'hourglass', 'model.test_cfg.multi_scale': True},
    'mss': {'against': ('hourglass', 'hourglass_six_scales')},
    'mss_longer': {**further, 'start_from': 'mss'},
    'msr': {
        **regression, **head_alone, 'start_from': 'mss', 'against': ('mss', 'mss_longer')},
    'structure_aware': {**complete, **head_alone, 'start_from': 'mss', 'against': 'msr'},
    'joint': {
        **complete,
        'start_from': 'structure_aware',
        'against': ('structure_aware', 'mss_longest')
    },
    'masking': {
        **complete,
        'start_from': 'structure_aware',
        'against': ('structure_aware', 'joint'),
        'train_dataloader.dataset.pipeline': _base_.train_pipeline_masked,
    },
    'mss_longest': {**further, 'start_from': 'mss_longer', 'against': 'mss_longer'},
    'masking_against_length': {
        **complete, 'weights_of': 'masking', 'against': 'mss_longest'},
}
