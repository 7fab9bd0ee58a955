# The same training by the clock: what make demo-mlpe runs.
_base_ = ['./mlpe_synthetic.py', '../_base_/schedules/timed.py']

train_cfg = _base_.timed_loop
train_dataloader = dict(batch_size=16, sampler=_base_.timed_sampler)
param_scheduler = None
default_hooks = _base_.timed_hooks
log_processor = _base_.timed_log
