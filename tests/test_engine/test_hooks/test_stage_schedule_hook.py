"""Stages: what trains and what does not move, resuming, several processes, bad input.

A small network on random data stands for the real ones: the hook knows of neither.
"""

import os
import socket
import time
import weakref
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.runner import Runner
from mmpose.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

import mspose_plugin  # noqa: F401
from mspose_plugin.engine.hooks.stage_schedule_hook import StageScheduleHook
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.wrappers import with_pipeline

CONFIGS = Path(__file__).parents[3] / 'configs'
STAGES = [
    dict(name='one', epochs=3, train=['backbone'], set={'head.refine': False}),
    dict(name='two', epochs=3, train=['head']),
    dict(name='three', epochs=3, pipeline=[dict(type='ToyShift', by=10.0)]),
]


class Backbone(nn.Module):
    def __init__(self, norm=True, dropout=0.2):
        super().__init__()
        self.stem = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.norm(self.stem(x)).relu())


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.refine = True
        self.predict, self.regression = nn.Linear(8, 2), nn.Linear(8, 2)

    def get_extra_state(self):
        return torch.tensor(self.refine)

    def set_extra_state(self, state):
        self.refine = bool(state)

    def forward(self, x):
        return self.predict(x) + self.regression(x) if self.refine else self.predict(x)


@MODELS.register_module()
class ToyModel(BaseModel):
    def __init__(self, **backbone):
        super().__init__()
        torch.manual_seed(0)
        self.backbone, self.head = Backbone(**backbone), Head()

    def forward(self, x, y, mode='tensor'):
        out = self.head(self.backbone(x))
        return dict(loss=F.mse_loss(out, y)) if mode == 'loss' else list(out)


@TRANSFORMS.register_module()
class ToyShift:
    def __init__(self, by=0.0):
        self.by = by

    def __call__(self, data):
        return dict(x=data['x'] + self.by + 0.01 * torch.randn(4), y=data['y'])


@DATASETS.register_module()
class ToyData(Dataset):
    def __init__(self, n=16):
        g = torch.Generator().manual_seed(1)
        self.samples = [
            dict(x=torch.randn(4, generator=g), y=torch.randn(2, generator=g)) for _ in range(n)
        ]
        self.pipeline = ToyShift()

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        return self.pipeline(self.samples[i])


@METRICS.register_module()
class ToyMetric(BaseMetric):
    """Never improves after a stage's first figure."""

    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        return dict(PCKh=50.0)


class Recorder(Hook):
    """Notes, epoch by epoch, what training did; optionally ends it as a kill would."""

    priority = 'LOWEST'

    def __init__(self, stop_after=None, stop_after_val=None):
        self.stop_after, self.stop_after_val = stop_after, stop_after_val
        self.validated = []
        self.weights, self.lr, self.shift, self.refine, self.wrappers = [], [], [], [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.training = {n: m.training for n, m in unwrap(runner).named_modules()}
        self.input = data_batch['x'].mean().item()
        self.rate = runner.optim_wrapper.get_lr()['lr'][0]

    def after_train_epoch(self, runner):
        model = unwrap(runner)
        self.weights.append({k: v.clone() for k, v in model.state_dict().items()})
        self.lr.append(self.rate)
        self.shift.append(self.input > 5)
        self.refine.append(model.head.refine)
        self.wrappers.append(weakref.ref(runner.model))
        if runner.epoch + 1 == self.stop_after:
            raise KeyboardInterrupt

    def after_val_epoch(self, runner, metrics=None):
        self.validated.append(runner.epoch)
        if runner.epoch == self.stop_after_val:
            raise KeyboardInterrupt


@contextmanager
def plain_data():
    """The pipeline does nothing: no shift, no random numbers."""
    original, ToyShift.__call__ = ToyShift.__call__, lambda self, data: data
    try:
        yield
    finally:
        ToyShift.__call__ = original


def unwrap(runner):
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def config(work_dir, stages=STAGES, max_epochs=9, batch_size=4, model=None, shuffle=True, **kwargs):
    loader = dict(
        batch_size=batch_size,
        num_workers=0,
        collate_fn=dict(type='default_collate'),
        sampler=dict(type='DefaultSampler', shuffle=shuffle),
    )
    return Config(
        dict(
            default_scope='mmpose',
            model=dict(type='ToyModel', **(model or {})),
            work_dir=str(work_dir),
            train_dataloader=dict(dataset=dict(type='ToyData'), **loader),
            val_dataloader=dict(dataset=dict(type='ToyData', n=4), **loader),
            train_cfg=dict(by_epoch=True, max_epochs=max_epochs),
            val_cfg=dict(),
            val_evaluator=dict(type='ToyMetric'),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.1)),
            param_scheduler=[
                dict(
                    type='ReduceOnPlateauLR', monitor='PCKh', rule='greater', factor=0.2, patience=0
                )
            ],
            default_hooks=dict(
                checkpoint=dict(
                    type='AtomicCheckpointHook', interval=1, save_best='PCKh', rule='greater'
                ),
                stages=dict(type='StageScheduleHook', stages=stages),
                checkpoint_fit=dict(type='CheckpointFitHook'),
                exact_resume=dict(type='ExactResumeHook'),
            ),
            custom_hooks=[dict(type='SyncBuffersHook')],
            randomness=dict(seed=3),
            log_level='ERROR',
            visualizer=dict(type='Visualizer', vis_backends=[]),
            **kwargs,
        )
    )


def train(cfg, stop_after=None, stop_after_val=None):
    """Run a config in this process; return the recorder and the runner."""
    cfg.experiment_name = f'run{time.perf_counter_ns()}'
    runner = Runner.from_cfg(cfg)
    recorder = Recorder(stop_after, stop_after_val)
    runner.register_hook(recorder)
    try:
        runner.train()
    except KeyboardInterrupt:
        pass
    return recorder, runner


def same(a, b, keys=None):
    return all(torch.equal(a[k], b[k]) for k in keys or a)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """One uninterrupted run through the three stages."""
    return train(config(tmp_path_factory.mktemp('whole')))


def part(weights, name):
    return [k for k in weights if k.startswith(name)]


def test_fixed_part_does_not_move(whole):
    w = whole[0].weights
    backbone, head = part(w[0], 'backbone'), part(w[0], 'head')
    assert {'backbone.norm.running_mean', 'backbone.norm.num_batches_tracked'} < {*backbone}
    assert all(same(w[2], w[i], backbone) for i in (3, 4, 5))  # statistics and decayed weights
    assert same(ToyModel().state_dict(), w[2], [k for k in head if 'extra_state' not in k])
    for name, epochs in ((backbone, (0, 1, 2, 6, 7, 8)), (head, range(3, 9))):
        learned = [k for k in name if 'running' in k or k.endswith('weight')]
        assert not any(torch.equal(w[i - 1][k], w[i][k]) for i in epochs if i for k in learned)


def test_attributes_and_pipeline_belong_to_their_stage(whole):
    assert whole[0].refine == [False] * 3 + [True] * 6
    assert whole[0].shift == [False] * 6 + [True] * 3


def test_fixed_part_is_in_evaluation_mode(tmp_path):
    stages = [dict(epochs=2, train=['backbone.stem', 'head.predict'])]
    recorder, runner = train(config(tmp_path, stages, 2))
    assert [n for n, training in recorder.training.items() if training] == [
        '',
        'backbone',
        'backbone.stem',
        'head',
        'head.predict',
    ]
    assert {n for n, p in runner.model.named_parameters() if p.requires_grad} == {
        'backbone.stem.weight',
        'backbone.stem.bias',
        'head.predict.weight',
        'head.predict.bias',
    }


def test_learning_rate_starts_over_and_falls_in_every_stage(whole):
    # patience 0: the first validation of a stage is its best, the second divides by 5
    assert whole[0].lr == pytest.approx([0.1, 0.1, 0.02] * 3)


def test_learning_rate_factor_and_param_groups(tmp_path):
    stages = [dict(epochs=2), dict(epochs=2, lr_factor=0.5), dict(epochs=1)]
    cfg = config(tmp_path, stages, 5)
    cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={'head': dict(lr_mult=2.0)})
    cfg.param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=True, end=2)]
    recorder, runner = train(cfg)
    assert recorder.lr == pytest.approx([0.01, 0.1, 0.005, 0.05, 0.01])
    assert {round(g['lr'] / g['initial_lr'], 6) for g in runner.optim_wrapper.param_groups} == {1.0}


@pytest.mark.parametrize(
    'scheduler',
    [
        dict(type='OneCycleLR', eta_max=0.2, total_steps=4),
        dict(type='CosineRestartLR', periods=[1, 3], restart_weights=[1, 0.5], eta_min=0.0),
        dict(type='CosineAnnealingLR', T_max=1, eta_min=0.0),
    ],
)
def test_the_factor_holds_where_a_scheduler_goes_back_to_the_first_rate(tmp_path, scheduler):
    cfg = config(tmp_path, [dict(epochs=3), dict(epochs=3, lr_factor=0.5)], 6)
    cfg.param_scheduler = [dict(scheduler, by_epoch=True)]
    rates = train(cfg)[0].lr
    assert rates[3:] == pytest.approx([0.5 * rate for rate in rates[:3]])
    assert len({round(rate, 6) for rate in rates[:3]}) > 1


def test_each_stage_leaves_its_best_checkpoint(whole):
    folder = Path(whole[1].work_dir)
    assert sorted(p.name for p in folder.glob('best_*')) == [
        f'best_PCKh_epoch_{n}.pth' for n in (1, 4, 7)
    ]


def test_parameters_that_the_model_fixes_stay_fixed(tmp_path):
    cfg = config(tmp_path, [dict(epochs=1, train=['head']), dict(epochs=1)], 2)
    runner = Runner.from_cfg(cfg)
    runner.model.backbone.stem.weight.requires_grad_(False)
    before = runner.model.backbone.stem.weight.clone()
    runner.train()
    assert torch.equal(runner.model.backbone.stem.weight, before)
    assert runner.model.backbone.stem.bias.requires_grad


@pytest.mark.parametrize('stop', [3, 5, 6, 8])
def test_resumed_run_equals_uninterrupted_one(whole, tmp_path, stop):
    """Inside a stage and at its border; a kill comes after the checkpoint, before validation."""
    killed, _ = train(config(tmp_path), stop_after=stop)
    assert same(killed.weights[-1], whole[0].weights[stop - 1])
    resumed, runner = train(config(tmp_path, resume=True))
    assert resumed.lr == whole[0].lr[stop:]
    assert resumed.refine == whole[0].refine[stop:] and resumed.shift == whole[0].shift[stop:]
    for ours, theirs in zip(resumed.weights, whole[0].weights[stop:], strict=True):
        assert same(ours, theirs)
    a, b = (r.optim_wrapper.state_dict()['state'] for r in (runner, whole[1]))
    assert all(torch.equal(a[k]['momentum_buffer'], b[k]['momentum_buffer']) for k in b)
    assert {p.name for p in tmp_path.glob('best_*')} == {
        p.name for p in Path(whole[1].work_dir).glob('best_*')
    }


@pytest.mark.parametrize(
    'stop, interval, validated',
    [
        (dict(stop_after=3), 2, [4, 5]),  # no validation was due
        (dict(stop_after=4), 2, [4, 5]),  # one was
        (dict(stop_after_val=1), 1, [2, 3, 4, 5]),  # the best checkpoint is written again after it
        (dict(stop_after_val=2), 1, [2, 3, 4, 5]),  # not the best: its file precedes the validation
        (dict(stop_after=5), 1, [5]),  # only the last validation was missing
    ],
)
def test_validations_of_a_resumed_run(tmp_path, stop, interval, validated):
    cfg = config(tmp_path, [dict(epochs=5)], 5)
    cfg.train_cfg.val_interval = interval
    train(cfg, **stop)
    cfg.resume = True
    assert train(cfg)[0].validated == validated


def test_optimizer_state_can_be_kept(tmp_path):
    final = []
    for keep in (False, True):
        cfg = config(tmp_path / str(keep), [dict(epochs=1), dict(epochs=1)], 2)
        cfg.default_hooks.stages.keep_optimizer_state = keep
        final.append(train(cfg)[0].weights)
    assert same(final[0][0], final[1][0]) and not same(final[0][1], final[1][1])


def test_separate_configs_are_the_same_training(tmp_path):
    """One run of three stages, and three runs chained by load_from."""
    stages = deepcopy(STAGES)
    stages[2].pop('pipeline')  # random: seeded by the epoch, which starts at 0 in each config
    options = dict(shuffle=False, model=dict(dropout=0.0))
    with plain_data():
        whole, _ = train(config(tmp_path / 'whole', stages, **options))
        load_from = None
        for i, stage in enumerate(stages):
            separate, _ = train(
                config(tmp_path / str(i), [stage], 3, load_from=load_from, **options)
            )
            load_from = str(tmp_path / str(i) / 'epoch_3.pth')
    assert same(whole.weights[-1], separate.weights[-1])


def test_pipelines_are_found_in_wrapped_data_sets():
    inner = [ToyData(1), ToyData(2)]
    wrapped = SimpleNamespace(dataset=SimpleNamespace(datasets=inner))
    assert list(with_pipeline(wrapped)) == inner
    assert list(with_pipeline(object())) == []


def test_persistent_workers_get_the_new_pipeline(tmp_path):
    cfg = config(tmp_path, [dict(epochs=2), dict(STAGES[2], epochs=2)], 4)
    cfg.train_dataloader.update(num_workers=1, persistent_workers=True)
    assert train(cfg)[0].shift == [False, False, True, True]


def test_ema_of_the_fixed_part(tmp_path):
    """EMAHook goes with stages: what is trained on is untouched by the swaps for validation."""
    cfg = config(tmp_path)
    cfg.custom_hooks.append(dict(type='EMAHook', momentum=0.5))
    w = train(cfg)[0].weights
    assert all(same(w[2], w[i], part(w[0], 'backbone')) for i in (3, 4, 5))
    # which network a checkpoint holds is the stage's, too: EMAHook's copy never enters one
    for epoch, refine in ((1, False), (3, False), (4, True), (9, True)):
        saved = torch.load(tmp_path / f'epoch_{epoch}.pth', weights_only=False)['state_dict']
        assert bool(saved['head._extra_state']) == refine, epoch


def test_ema_that_starts_from_weights_of_the_first_stage(tmp_path):
    """Their note, that the head does not refine, is that of another stage."""
    train(config(tmp_path / 'one', STAGES[:1], 3))
    cfg = config(tmp_path / 'two', [dict(STAGES[1], epochs=1)], 1)
    cfg.load_from = str(tmp_path / 'one/epoch_3.pth')
    cfg.custom_hooks.append(dict(type='EMAHook', momentum=0.5))
    train(cfg)
    saved = torch.load(tmp_path / 'two/epoch_1.pth', weights_only=False)['state_dict']
    assert bool(saved['head._extra_state'])


@pytest.mark.parametrize(
    'stages, words',
    [
        ([], 'at least one stage'),
        ('mss', 'at least one stage'),
        ([3], r'stages\[0\]=3: expected a dict of name, epochs'),
        (
            [dict(epochs=1, freeze=['head'])],
            r"stages\[0\]=.*'freeze'.*: expected a dict of name, epochs",
        ),
        ([dict(train=['head'])], "stage '1': epochs=0"),
        ([dict(epochs=True)], 'epochs=True'),
        ([dict(epochs=1, train=[])], 'a list of module names'),
        ([dict(epochs=1, train='head')], 'a list of module names'),
        ([dict(epochs=1, set={'refine': False})], 'a dict of attributes'),
        ([dict(epochs=1, pipeline=[])], 'a list of transforms'),
        ([dict(epochs=1, lr_factor=0)], 'a positive number'),
    ],
)
def test_malformed_stages(stages, words):
    with pytest.raises(InputError, match=words) as e:
        StageScheduleHook(stages)
    assert '\n' not in str(e.value)


@pytest.mark.parametrize(
    'stage, words',
    [
        (dict(epochs=2), r'1 \+ 2 = 3 epochs, but train_cfg.max_epochs=2; make them equal'),
        (
            dict(train=['bakbone']),
            "the model has no part 'bakbone'; it has data_preprocessor, backb",
        ),
        (dict(train=['head.x']), "'head.x': head has no part 'x'; it has predict, regression"),
        (dict(train=['backbone.dropout']), 'no parameter that could train'),
        (dict(set={'head.refin': False}), r"head \(Head\) has no attribute 'refin'"),
        (dict(set={'heat.refine': False}), "the model has no part 'heat'"),
        (dict(pipeline=[dict(type='NoSuch')]), "stage 'late': pipeline: .*NoSuch"),
    ],
)
def test_stages_that_do_not_fit_are_refused_before_training(tmp_path, stage, words):
    stages = [dict(epochs=1), dict(dict(name='late', epochs=1), **stage)]
    with pytest.raises(InputError, match=words) as e:
        train(config(tmp_path, stages, 2))
    assert '\n' not in str(e.value) and not list(tmp_path.glob('*.pth'))


def test_iteration_based_loop_is_refused(tmp_path):
    cfg = config(tmp_path, [dict(epochs=1)])
    cfg.train_cfg = dict(by_epoch=False, max_iters=2)
    with pytest.raises(InputError, match='by_epoch=True'):
        train(cfg)


def test_test_run_needs_no_stages(tmp_path):
    cfg = config(tmp_path, [dict(epochs=1)])
    cfg.update(
        test_dataloader=cfg.val_dataloader, test_evaluator=cfg.val_evaluator, test_cfg=dict()
    )
    cfg.experiment_name = f'run{time.perf_counter_ns()}'
    assert Runner.from_cfg(cfg).test() == dict(PCKh=50.0)


def test_base_schedule():
    cfg = Config.fromfile(CONFIGS / '_base_/schedules/msspose_stages.py')
    stages = StageScheduleHook([cfg.mss_stage, cfg.msr_stage, cfg.joint_stage]).stages
    assert [s.epochs for s in stages] == [150, 75, 75] and cfg.train_loop.max_epochs == 300
    assert [s.train for s in stages] == [['backbone'], ['head'], None]
    (plateau,) = cfg.param_scheduler
    assert plateau.factor == 0.2 and plateau.monitor == 'PCKh'


# Two processes


def _worker(rank, port, folder):
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE='2',
        MASTER_PORT=str(port),
        MASTER_ADDR='127.0.0.1',
    )
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    options = dict(
        launcher='pytorch',
        batch_size=2,
        model_wrapper_cfg=dict(type='MMDistributedDataParallel', device_ids=None),
    )
    result = {}
    with plain_data():
        result['plain'] = train(
            config(folder / 'plain', model=dict(norm=False, dropout=0.0), **options)
        )[0].weights
    recorder, _ = train(config(folder / 'whole', **options))
    result['whole'] = recorder.weights
    result['wrappers'] = [recorder.wrappers.index(w) for w in recorder.wrappers]
    result['freed'] = [w() is None for w in recorder.wrappers]
    train(config(folder / 'killed', **options), stop_after=5)
    result['killed'] = train(config(folder / 'killed', resume=True, **options))[0].weights
    torch.save(result, folder / f'rank{rank}.pt')
    torch.distributed.destroy_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ranks')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    # not fork: this process has run autograd
    torch.multiprocessing.start_processes(
        _worker, (port, folder), nprocs=2, start_method='forkserver'
    )
    return [torch.load(folder / f'rank{rank}.pt') for rank in (0, 1)]


def test_processes_stay_in_step(ranks):
    for name in ('whole', 'plain'):
        for a, b in zip(*(r[name] for r in ranks), strict=True):
            assert same(a, b)


def test_wrapper_is_new_in_every_stage(ranks):
    assert ranks[0]['wrappers'] == [0, 0, 0, 3, 3, 3, 6, 6, 6]
    assert ranks[0]['freed'][:6] == [True] * 6  # their buckets are as large as the model


def test_gradients_are_averaged_in_every_stage(ranks, tmp_path):
    """Two processes equal one with the doubled batch."""
    with plain_data():
        single, _ = train(config(tmp_path, model=dict(norm=False, dropout=0.0)))
    for ours, theirs in zip(ranks[0]['plain'], single.weights, strict=True):
        for k, v in ours.items():
            torch.testing.assert_close(v, theirs[k], rtol=1e-4, atol=1e-6)


def test_fixed_part_does_not_move_in_two_processes(ranks):
    for result in ranks:
        w = result['whole']
        backbone = part(w[0], 'backbone')
        assert all(same(w[2], w[i], backbone) for i in (3, 4, 5))
        assert not same(w[5], w[6], backbone)


def test_resume_in_two_processes(ranks):
    for result in ranks:
        for ours, theirs in zip(result['killed'], result['whole'][5:], strict=True):
            assert same(ours, theirs)
