"""Hooks."""

from mspose_plugin.engine.hooks.exact_resume_hook import ExactResumeHook
from mspose_plugin.engine.hooks.finite_loss_hook import FiniteLossHook
from mspose_plugin.engine.hooks.loader_timeout_hook import LoaderTimeoutHook
from mspose_plugin.engine.hooks.stage_schedule_hook import StageScheduleHook
from mspose_plugin.engine.hooks.time_budget_hook import TimeBudgetHook
from mspose_plugin.engine.hooks.training_curves_hook import TrainingCurvesHook
from mspose_plugin.engine.hooks.validation_loss_hook import ValidationLossHook
from mspose_plugin.engine.hooks.work_dir_lock_hook import WorkDirLockHook

__all__ = [
    'ExactResumeHook',
    'FiniteLossHook',
    'LoaderTimeoutHook',
    'StageScheduleHook',
    'TimeBudgetHook',
    'TrainingCurvesHook',
    'ValidationLossHook',
    'WorkDirLockHook',
]
