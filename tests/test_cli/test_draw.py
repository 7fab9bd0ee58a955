"""``mspose draw``, ``mspose analyze`` and every block of docs/pictures.md."""

import json
import re
import shlex
from pathlib import Path

import bad_inputs
import cv2
import numpy as np
import pytest
import tiny_run

import mspose_command
from mspose_plugin.cli.pictures.pck import read_curve
from mspose_plugin.cli.pictures.skeleton import NAMES
from mspose_plugin.skeletons import GROUPS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / 'docs/pictures.md').read_text()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return a folder with what the commands of the page read, under the names that it gives."""
    path = tmp_path_factory.mktemp('pictures')
    bad_inputs.write_good(path)
    bad_inputs.write_results(path / 'first.pkl', path / 'first.json')
    bad_inputs.write_results(path / 'second.pkl', path / 'second.json', deviation=8)
    (path / 'photo.jpg').write_bytes(next((path / 'mpii/images').iterdir()).read_bytes())
    joints = ['nose', 'left_eye', 'right_eye']
    people = [
        dict(id=i, image_id=i, category_id=1, iscrowd=0, num_keypoints=3, area=400,
             bbox=[0, 0, 30, 30], keypoints=[9, 9, 2, 20, 9, 2, 5, 30, 2])
        for i in range(3)
    ]  # fmt: skip
    truth = dict(
        images=[dict(id=i) for i in range(3)],
        annotations=people,
        categories=[dict(id=1, name='person', keypoints=joints, skeleton=[])],
    )
    results = [dict(image_id=p['image_id'], keypoints=p['keypoints'], score=1.0) for p in people]
    (path / 'truth.json').write_text(json.dumps(truth))
    (path / 'results.keypoints.json').write_text(json.dumps(results))
    return path


def commands():
    """Return the commands of the page that are this project's."""
    blocks = re.findall(r'```bash\n(.*?)```', TEXT, re.DOTALL)
    lines = [line for block in blocks for line in block.replace('\\\n', ' ').splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith('mspose ')]


@pytest.mark.parametrize('words', commands(), ids=' '.join)
def test_every_command_of_the_page(words, folder, monkeypatch, shared_data_if_any):
    if words[1] in ('test', 'train', 'curves'):
        pytest.skip('has tests of its own')
    if any(word.endswith('.h5') for word in words):
        if shared_data_if_any is None:
            pytest.skip('needs real predictions')
        for name in ('newell_hourglass_val.h5', 'mpii_val.json', 'mpii_gt_val.mat'):
            target = folder / name
            if not target.exists():
                target.symlink_to(shared_data_if_any / 'mpii_val' / name)
    monkeypatch.chdir(folder)
    names = dict(CONFIG='good.py', CHECKPOINT='good.pth')
    words = [names.get(word, word) for word in words]
    picture = folder / words[words.index('--out') + 1]
    picture.unlink(missing_ok=True)
    mspose_command.main(words[1:])
    drawn = cv2.imread(str(picture))
    assert drawn.std() > 10 and min(drawn.shape[:2]) > 200


@pytest.fixture
def shared_data_if_any(repository):
    """Return the folder with real annotations, or None."""
    path = repository.parent / 'shared' / 'data'
    return path if path.is_dir() else None


def test_every_kind_is_on_the_page():
    from mspose_plugin.cli.draw import KINDS

    assert {words[2] for words in commands() if words[1] == 'draw'} == set(KINDS)


def test_pictures_of_the_page_are_small():
    pictures = re.findall(r'\]\((pictures/[^)]+)\)', TEXT)
    assert 0 < len(pictures) <= 6
    assert all((ROOT / 'docs' / name).stat().st_size <= 150_000 for name in pictures)


def test_a_curve_file_gives_the_curve_of_its_predictions(folder):
    metric, curve = read_curve(str(folder / 'first.json'))
    other, same = read_curve(str(folder / 'first.pkl'))
    assert type(metric) is type(other)
    for name in ('thresholds', 'hits', 'labelled'):
        np.testing.assert_array_equal(getattr(curve, name), getattr(same, name))


@pytest.mark.parametrize('dataset', list(GROUPS))
def test_the_drawn_names_are_those_of_the_groups(dataset):
    """The order of the joints is that of the data set: left and right are one pattern, mirrored."""
    names = NAMES[dataset]
    assert len(names) == len(GROUPS[dataset])
    groups = {names[n]: {names[m] for m in group} for n, group in enumerate(GROUPS[dataset])}

    def mirrored(name):
        side, _, joint = name.partition('_')
        other = dict(left='right', right='left').get(side)
        return f'{other}_{joint}' if other else name

    for name, group in groups.items():
        assert name in group and groups[mirrored(name)] == {mirrored(m) for m in group}


def test_a_network_without_regression(tmp_path, capsys):
    config, weights = tiny_run.write_model(tmp_path)
    image = str(next((tmp_path / 'mpii/images').iterdir()))
    words = ['draw', 'regression', image, '--model', config, '--weights', weights]
    with pytest.raises(SystemExit):
        mspose_command.main([*words, '--out', str(tmp_path / 'a.png')])
    assert 'no regression network' in capsys.readouterr().err
    assert not (tmp_path / 'a.png').exists()
