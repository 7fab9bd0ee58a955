"""Every config that a user can name, unchanged, through ``tools/train.py`` and ``tools/test.py``.

Synthetic people in each data set's own format lie where the config looks for the real ones; batch
size and workers are the only entries set. Pretrained weights, which are downloaded on first use,
lie in torch's cache with random numbers in them.
"""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner.checkpoint import get_mmcls_models
from mmpose.registry import MODELS
from tiny_run import REPOSITORY, TEST, TRAIN, run

from mspose_plugin.checkpoint.published import URLS
from mspose_plugin.synthetic import Recipe, write_dataset
from mspose_plugin.utils.reference_hourglass import Bearpaw

ONE_EPOCH = REPOSITORY / 'tests/helpers/one_epoch.py'
CONFIGS = REPOSITORY / 'configs'
LEAVES = sorted(p for p in CONFIGS.rglob('*.py') if '_base_' not in p.parts)
PLACES = dict(
    mpii=('data/mpii', 'data/photographic', 'work_dirs/demo/data'),
    coco=('data/coco', 'work_dirs/demo_mlpe/data'),
    flic=('data/flic',),
)
TRAIN_IMAGES = dict(mpii=1, coco=2, flic=1)  # COCO's: three persons, and one to validate on


def small(cfg: Config) -> list[str]:
    """Return the options: no workers, and the smallest batch that the config can train on."""
    batch = 2 if cfg.train_dataloader.get('drop_last') else 1
    timed = 'time_budget' in cfg.default_hooks
    return ['default_hooks.time_budget.minutes=0.001'] * timed + [
        f'{split}_dataloader.{entry}'
        for split in ('train', 'val', 'test')
        for entry in ('num_workers=0', 'persistent_workers=False', f'batch_size={batch}')
    ]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return a working folder with the data sets."""
    folder = tmp_path_factory.mktemp('leaves')
    for layout, places in PLACES.items():
        write_dataset(
            Recipe(layout, TRAIN_IMAGES[layout], 1, seed=2, difficulty='easy'),
            folder / layout,
            workers=1,
        )
        for place in places:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).symlink_to(folder / layout)
    return folder


def cache_weights(folder: Path, address: str) -> None:
    """Put random weights where the download of a pretrained backbone would lie."""
    kind, _, name = address.partition('://')
    if kind == 'hourglass':
        url, net = URLS[name], Bearpaw(int(name.removeprefix('bearpaw_hg')))
        state = net.state_dict()
    else:
        url, depth = get_mmcls_models()[name], int(name.removeprefix('resnest'))
        net = MODELS.build(
            dict(type='ResNeSt', depth=depth, stem_channels={50: 64, 101: 128}[depth])
        )
        state = {f'backbone.{key}': value for key, value in net.state_dict().items()}
    path = folder / 'hub/checkpoints' / url.rpartition('/')[2]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(dict(state_dict=state), path)


def train(config: Path, folder: Path) -> Path:
    """Train for one epoch, of a step or two, and validate; return the checkpoint."""
    cfg = Config.fromfile(config)
    if address := (cfg.model.backbone.get('init_cfg') or {}).get('checkpoint'):
        cache_weights(folder, address)
    if source := cfg.get('load_from'):  # what an earlier stage of the same folder has left
        path = folder / source
        if not path.exists():
            earlier = train(config.with_name(f'{path.parent.name}.py'), folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            earlier.rename(path)
    work = folder / 'runs' / config.relative_to(CONFIGS).with_suffix('')
    done = run(
        [ONE_EPOCH, TRAIN, config, '--work-dir', work, '--cfg-options', *small(cfg)],
        folder,
        timeout=300,
        TORCH_HOME=str(folder),
    )
    assert done.status == 0, done.err[-3000:]
    return Path((work / 'last_checkpoint').read_text().strip())


@pytest.mark.parametrize(
    'leaf', LEAVES, ids=lambda p: p.relative_to(CONFIGS).with_suffix('').as_posix()
)
def test_it_trains_and_is_tested(leaf, folder):
    checkpoint = train(leaf, folder)
    done = run(
        [
            TEST,
            leaf,
            checkpoint,
            '--work-dir',
            checkpoint.parent,
            '--cfg-options',
            *small(Config.fromfile(leaf)),
        ],
        folder,
        timeout=300,
        TORCH_HOME=str(folder),
    )
    assert done.status == 0, done.err[-3000:]
    assert re.search(r'(Epoch|Iter)\(test\) \[\d+/\d+\]', done.out)
    for path in checkpoint.parent.glob('*.pth'):  # hundreds of megabytes
        path.unlink()
