"""Training in stages: which parts train, from what learning rate, on which data.

Ke, Chang, Qi, Lyu, "Multi-Scale Structure-Aware Network for Human Pose Estimation", ECCV 2018,
§4.1: the MSS-net is trained alone, then the MSR-net with the MSS-net fixed, then both with
keypoint masking. The hook knows nothing of these networks; a stage is an entry in the config.

The paper does not say what happens to the optimiser between two stages. Ours: every stage begins
like a run of its own that loads the last weights, so that stages in one run and stages in
separate configs, chained by ``load_from``, are the same training.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import accumulate
from typing import Any

from mmengine.dataset import Compose
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import BaseLoop, EpochBasedTrainLoop
from mmpose.registry import HOOKS
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mspose_plugin.engine.stage import STAGES, Stage, find_part, frozen_parts, is_list
from mspose_plugin.utils.checks import check, check_value, refused
from mspose_plugin.utils.wrappers import bare, with_pipeline

RATES = {'lr', 'initial_lr', 'max_lr', 'min_lr'}
"""Entries of an optimizer's group that schedulers take a learning rate from."""


@HOOKS.register_module()
class StageScheduleHook(Hook):
    """Runs the stages of a training run one after the other.

    At the start of a stage the parts that do not train are frozen (no gradient, evaluation mode:
    batch-norm statistics stay, dropout is off), attributes and data pipeline are set, and a
    ``DistributedDataParallel`` wrapper is rebuilt, since it does not notice which parameters train.
    The learning rate and every parameter scheduler start again, so that their ``begin`` and ``end``
    count from the start of the stage. So does ``save_best``, so that each stage leaves its own best
    checkpoint: those of earlier stages belong to a network with untrained parts.

    The stage follows from the epoch. A resumed run continues as an uninterrupted one does as far as
    mmengine restores it; ``ExactResumeHook`` adds the rest. What a stage sets is in the checkpoint
    if the module saves it with its weights (PyTorch's ``get_extra_state``, as ``MSRHead`` does), so
    that the checkpoint of a stage is tested as the network that was trained.

    Args:
        stages: entries of :class:`Stage`; their epochs add up to
            ``train_cfg.max_epochs``.
        keep_optimizer_state: keep what the optimiser has accumulated, such as momentum,
            at the start of a stage. Defaults to False (ours: the momentum of a part that was
            frozen during a stage is out of date by the length of that stage).

    Raises:
        InputError: at construction for malformed stages; before the first epoch when the epochs
            do not add up or the model lacks a named part or attribute.

    Examples:
        >>> hook = StageScheduleHook([
        ...     dict(name='backbone', epochs=2, train=['backbone']),
        ...     dict(name='head', epochs=1, train=['head'], lr_factor=0.1)])
        >>> [hook.index_at(epoch) for epoch in range(3)]
        [0, 0, 1]
    """

    priority = 'HIGH'

    def __init__(self, stages: Sequence[dict], keep_optimizer_state: bool = False) -> None:
        check_value(is_list(stages) and stages, STAGES, stages, 'a list of at least one stage')
        self.stages = [Stage.parse(i, stage) for i, stage in enumerate(stages)]
        self.keep_optimizer_state = keep_optimizer_state
        self._ends = list(accumulate(stage.epochs for stage in self.stages))
        self._current: int | None = None
        self._frozen: list[nn.Module] = []

    def index_at(self, epoch: int) -> int:
        """Return the index of the stage to which the epoch (from 0) belongs."""
        return next((i for i, end in enumerate(self._ends) if epoch < end), len(self._ends) - 1)

    def before_run(self, runner) -> None:
        """Check the number of epochs and remember what each stage starts from.

        Called before a checkpoint is loaded, when the optimiser and its schedulers are new and the
        model's attributes are the config's: a checkpoint may carry those of another stage
        (``MSRHead.refine``).
        """
        if not isinstance(runner._train_loop, BaseLoop):  # a dict when testing
            return
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        single = not isinstance(runner.optim_wrapper, OptimWrapperDict)
        needed = 'train_cfg.by_epoch=True and a single optimizer'
        check(by_epoch and single, f'StageScheduleHook needs {needed}')
        total = f'{" + ".join(str(s.epochs) for s in self.stages)} = {self._ends[-1]} epochs'
        wanted = f'train_cfg.max_epochs={runner.max_epochs}'
        equal = self._ends[-1] == runner.max_epochs
        check(equal, f'{STAGES}: {total}, but {wanted}; make them equal')
        self._groups = deepcopy(
            [
                {k: v for k, v in group.items() if k != 'params'}
                for group in runner.optim_wrapper.param_groups
            ]
        )
        self._schedules = deepcopy([s.state_dict() for s in runner.param_schedulers or ()])
        model = bare(runner.model)
        self._attributes: dict[str, Any] = {}
        for stage in self.stages:
            for key in stage.set:
                path, name = key.rsplit('.', 1)
                module = find_part(model, path, stage.where('set'))
                owner = f'{stage.where("set")}: {path} ({type(module).__name__})'
                check(hasattr(module, name), f'{owner} has no attribute {name!r}')
                self._attributes[key] = getattr(module, name)

    def before_train(self, runner) -> None:
        """Check the stages against model and data; enter the stage of the epoch just finished.

        A missed validation that runs before the next epoch thus sees the network as it was.
        """
        model = bare(runner.model)
        self._trainable = {n for n, p in model.named_parameters() if p.requires_grad}
        self._datasets = [(d, d.pipeline) for d in with_pipeline(runner.train_dataloader.dataset)]
        self._pipelines = [self._build_pipeline(stage) for stage in self.stages]
        kind = type(runner.train_dataloader.dataset).__name__
        fits = self._datasets or not any(self._pipelines)
        check(fits, f'{STAGES}: a stage has a pipeline, but {kind} has none to change')
        for stage in self.stages:
            for part in stage.train or ():
                find_part(model, part, stage.where('train'))
            trains = any(stage.trains(name) for name in self._trainable)
            what = f'{stage.where("train")}: {list(stage.train or ())}'
            check(trains, f'{what} has no parameter that could train')
        self._enter(runner, self.index_at(max(runner.epoch - 1, 0)))

    def before_train_epoch(self, runner) -> None:
        """Enter the epoch's stage; in its first epoch start optimiser and schedulers over."""
        index = self.index_at(runner.epoch)
        if index != self._current:
            self._enter(runner, index)
        stage = self.stages[index]
        if runner.epoch == self._ends[index] - stage.epochs:
            self._restart(runner, stage)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Put the frozen parts back into evaluation mode, which mmengine's loop has ended."""
        for module in self._frozen:
            if module.training:
                module.eval()

    def _enter(self, runner, index: int) -> None:
        stage, model = self.stages[index], bare(runner.model)
        for key, value in {**self._attributes, **stage.set}.items():
            path, name = key.rsplit('.', 1)
            setattr(model.get_submodule(path), name, value)
        changed = False
        for name, parameter in model.named_parameters():
            trains = name in self._trainable and stage.trains(name)
            changed |= trains != parameter.requires_grad
            parameter.requires_grad_(trains).grad = None
        if changed and is_model_wrapper(runner.model):
            self._wrap_anew(runner, model)
        self._frozen = list(frozen_parts(model, stage))
        for dataset, original in self._datasets:
            pipeline = self._pipelines[index] or original
            if dataset.pipeline is not pipeline:
                dataset.pipeline = pipeline
                # persistent workers hold a copy of the dataset: let the next epoch start new ones
                runner.train_dataloader._iterator = None
        self._current = index
        count = sum(p.numel() for p in model.parameters() if p.requires_grad)
        runner.logger.info(
            f'Stage {index + 1}/{len(self.stages)} {stage.name!r}, epochs '
            f'{self._ends[index] - stage.epochs + 1}-{self._ends[index]}: '
            f'{", ".join(stage.train or ["everything"])} trains ({count:,} parameters)'
        )

    def _restart(self, runner, stage: Stage) -> None:
        for group, start in zip(runner.optim_wrapper.param_groups, self._groups):
            group.update(deepcopy(start))
            for key in RATES & group.keys():
                group[key] *= stage.lr_factor
        for scheduler, start in zip(runner.param_schedulers or (), self._schedules):
            scheduler.load_state_dict(deepcopy(start))
            if scheduler.param_name == 'lr' and hasattr(scheduler, 'base_values'):
                # what cosines go back to
                scheduler.base_values = [v * stage.lr_factor for v in scheduler.base_values]
        if not self.keep_optimizer_state:
            runner.optim_wrapper.optimizer.state.clear()
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook) and hook.save_best:
                single = len(hook.key_indicators) == 1
                for key in hook.key_indicators:
                    for info in ('best_score', 'best_ckpt'):
                        runner.message_hub.pop_info(info if single else f'{info}_{key}')
                if single:
                    hook.best_ckpt_path = None
                else:
                    hook.best_ckpt_path_dict = dict.fromkeys(hook.key_indicators)

    @staticmethod
    def _wrap_anew(runner, model: nn.Module) -> None:
        kind, known = type(runner.model).__name__, isinstance(runner.model, DistributedDataParallel)
        wanted = 'MMDistributedDataParallel, for StageScheduleHook'
        check_value(known, 'model_wrapper_cfg.type', kind, wanted)
        runner.model = model  # frees the old wrapper, whose buckets are as large as the model
        runner.model = runner.wrap_model(deepcopy(runner.cfg.get('model_wrapper_cfg')), model)
        runner._maybe_compile('train_step')

    @staticmethod
    def _build_pipeline(stage: Stage) -> Compose | None:
        if stage.pipeline is None:
            return None
        with refused(stage.where('pipeline'), KeyError, TypeError):
            return Compose(deepcopy(stage.pipeline))
