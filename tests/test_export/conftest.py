import pytest
import tiny_run

import mspose_command
from mspose_plugin import PosePredictor


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """Return a folder with the tiny config, its data and weights with maxima anywhere."""
    folder = tmp_path_factory.mktemp('tiny')
    tiny_run.write_model(folder, deviation=0.3)
    return folder


@pytest.fixture(scope='session')
def predictor(tiny):
    return PosePredictor(str(tiny / 'tiny.py'), str(tiny / 'a.pth'), device='cpu')


@pytest.fixture(scope='session')
def export(tiny):
    """Return a function that runs the command once for each set of arguments."""
    done = {}

    def run(*args):
        if args not in done:
            folder = tiny / f'exported{len(done)}'
            folder.mkdir()
            out = folder / args[0]
            model = [str(tiny / 'tiny.py'), str(tiny / 'a.pth'), '--out', str(out)]
            mspose_command.main(['export', *model, *args[1:]])
            done[args] = out
        return str(done[args])

    return run
