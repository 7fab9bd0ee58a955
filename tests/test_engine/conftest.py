"""What the tests of the engine share."""

import line_run
import pytest


@pytest.fixture()
def train(tmp_path):
    """Return :func:`line_run.train` for folders of this test, ``run`` by default."""
    return lambda scores, folder='run', **more: line_run.train(tmp_path / folder, scores, **more)
