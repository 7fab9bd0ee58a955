"""Hooks and optimizer wrappers."""
from .autocast_optim_wrapper import AutocastOptimWrapper
from .checkpoint_hooks import AtomicCheckpointHook, CheckpointFitHook
from .exact_resume_hook import ExactResumeHook
from .finite_loss_hook import FiniteLossHook
from .fitting import load_fitting
from .loader_timeout_hook import LoaderTimeoutHook
from .pretrained import CheckedPretrainedInit
from .stage_schedule_hook import StageScheduleHook
from .work_dir_lock_hook import WorkDirLockHook

__all__ = ['AtomicCheckpointHook', 'AutocastOptimWrapper', 'CheckedPretrainedInit',
           'CheckpointFitHook', 'ExactResumeHook', 'FiniteLossHook', 'LoaderTimeoutHook',
           'StageScheduleHook', 'WorkDirLockHook', 'load_fitting']
