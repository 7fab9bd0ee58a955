# How the rate should follow the batch: recipes_small.py's network and number of samples, with
# batches of 32, hence 200 steps.
_base_ = './recipes_small.py'

train_dataloader = dict(batch_size=32)
param_scheduler = [dict(_base_.fall, milestones=[160])]


def _rate(lr):
    return {'optim_wrapper.optimizer.type': 'Adam', 'optim_wrapper.optimizer.lr': lr}


variants = dict(_delete_=True, same=_rate(1e-3), root=_rate(2e-3), linear=_rate(4e-3))
