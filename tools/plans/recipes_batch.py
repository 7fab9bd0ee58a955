# How the rate should follow the batch: recipes_small.py's network and number of samples, with
# batches of 32, hence 200 steps.
_base_ = './recipes_small.py'


def _rate(lr):
    return {
        'train_dataloader.batch_size': 32,
        'param_scheduler.0.milestones': '[160]',
        'optim_wrapper.optimizer.type': 'Adam',
        'optim_wrapper.optimizer.lr': lr,
    }


variants = dict(_delete_=True, same=_rate(1e-3), root=_rate(2e-3), linear=_rate(4e-3))
