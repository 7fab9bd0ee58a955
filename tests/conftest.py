"""What all tests share: seeds, MMPose's registries, the real data beside the repository."""

import gc
import logging
import multiprocessing
import os
import random
import time
from multiprocessing import forkserver
from pathlib import Path

import numpy as np
import pytest
import tiny_run
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

import mspose_plugin  # noqa: F401

REPOSITORY = Path(__file__).resolve().parents[1]

# Small tensors: several threads would mostly wait for each other, for minutes on a busy machine.
torch.set_num_threads(1)
os.environ.setdefault('OMP_NUM_THREADS', '1')  # for the commands that tests start


LONGEST = 'test_every_config.py'


def pytest_collection_modifyitems(items):
    """Begin with the longest file, so that a process of its own has it while others do the rest."""
    items.sort(key=lambda item: item.path.name != LONGEST)


@pytest.fixture(autouse=True)
def mmpose_scope():
    """Look types up in MMPose's registries, as under a Runner, whatever a test before did."""
    init_default_scope('mmpose')


@pytest.fixture(scope='session', autouse=True)
def server():
    """Start the server that processes are forked from: there is one, whichever test needs it."""
    multiprocessing.set_forkserver_preload(list(tiny_run.PRELOAD))
    forkserver.ensure_running()
    gc.freeze()  # mmengine collects for every data set: seconds over all that is imported
    yield
    gc.unfreeze()


@pytest.fixture
def fresh_logger(request):
    """Make a logger the current one that no test before has set to ERROR or closed."""
    return MMLogger.get_instance(f'{request.node.nodeid} {time.monotonic_ns()}')


@pytest.fixture(autouse=True)
def no_closed_log():
    """Take closed files from the current logger: whatever configures logging closes all there are.

    A web server does; mmengine would write into them when weights are initialised.
    """
    logger = MMLogger.get_current_instance()
    for handler in [h for h in logger.handlers if isinstance(h, logging.FileHandler)]:
        if handler.stream is None:
            logger.removeHandler(handler)


@pytest.fixture(autouse=True)
def seeded():
    """Let every test begin with the same random numbers, alone or among others."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def repository():
    """Return the repository's folder."""
    return REPOSITORY


@pytest.fixture(scope='session')
def shared_data():
    """Return the folder with real annotations and images; skip where it is absent."""
    path = REPOSITORY.parent / 'shared' / 'data'
    if not path.is_dir():
        pytest.skip(f'real annotations not at {path}')
    return path
