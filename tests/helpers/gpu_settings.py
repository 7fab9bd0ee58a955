"""Settings of the check of a GPU."""

from mspose_plugin.gpu_check.rows import Settings


def settings(device='cpu', **changes):
    given = dict(
        device=device,
        quick=False,
        seed=0,
        config='',
        configs=(),
        batches=(8, 2),
        plan='',
        recipes=(),
        folder='',
        logs='',
        workers=1,
    )
    return Settings(**{**given, **changes})
