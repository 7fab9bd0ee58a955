"""Hooks and optimizer wrappers."""
from .autocast_optim_wrapper import AutocastOptimWrapper
from .checkpoint_hooks import AtomicCheckpointHook, CheckpointFitHook, load_fitting
from .exact_resume_hook import ExactResumeHook
from .pretrained import CheckedPretrainedInit
from .stage_schedule_hook import StageScheduleHook

__all__ = ['AtomicCheckpointHook', 'AutocastOptimWrapper', 'CheckedPretrainedInit',
           'CheckpointFitHook', 'ExactResumeHook', 'StageScheduleHook', 'load_fitting']
