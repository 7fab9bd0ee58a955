# A training of so many minutes, on any machine. Added to another schedule: its learning rate rises
# and falls once, by the clock. There is no validation: it would cost time.
timed_loop = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=10_000_000, val_begin=10_000_001)
timed_sampler = dict(type='InfiniteSampler', shuffle=True)
timed_hooks = dict(
    time_budget=dict(type='TimeBudgetHook', minutes=6),
    checkpoint=dict(by_epoch=False, interval=1000))
timed_log = dict(by_epoch=False)
