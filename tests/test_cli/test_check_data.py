"""What ``mspose check-data`` prints, refuses and writes; the rules themselves: test_inspection."""

import json
import shutil

import cv2
import numpy as np
import pytest
from own_set import write_own_set

from mspose_plugin.cli import check_data
from mspose_plugin.cli.running import run


@pytest.fixture(scope='module')
def own(tmp_path_factory):
    return write_own_set(tmp_path_factory.mktemp('own'), train=2, val=1)


@pytest.fixture
def folder(own, tmp_path, monkeypatch):
    shutil.copytree(own, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(capsys, *words):
    """Run the command; return exit status, what it printed, and its one error line."""
    try:
        run(check_data, [*words], 'mspose check-data')
        status = 0
    except SystemExit as e:
        status = e.code
    out, err = capsys.readouterr()
    assert 'Traceback' not in err
    return status, out, err


def change(file, edit):
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def row(out, words):
    (line,) = [line for line in out.splitlines() if words in line]
    return line


def test_a_good_set(folder, capsys):
    status, out, err = check(capsys, 'train.json', '--images', 'images', '--val', 'val.json')
    assert status == 0 and not err and 'error' not in out
    content = json.loads((folder / 'train.json').read_text())
    persons = len(content['annotations'])
    labelled = sum(v > 0 for a in content['annotations'] for v in a['keypoints'][2::3])
    assert (
        f'train.json: {persons} persons (horse) in 2 images, 7 joints, {labelled} labelled' in out
    )
    first = out.index('LShoulder')
    visible, occluded, unlabelled = map(int, out[first:].split('\n')[0].split()[2:5])
    flags = [a['keypoints'][5] for a in content['annotations']]
    assert [visible, occluded, unlabelled] == [flags.count(v) for v in (2, 1, 0)]


def test_images(folder, capsys):
    names = [
        image['file_name'] for image in json.loads((folder / 'train.json').read_text())['images']
    ]
    (folder / 'images' / names[0]).write_bytes(b'\xff\xd8 nothing')
    cv2.imwrite(str(folder / 'images' / names[1]), np.zeros((20, 30, 3), np.uint8))
    status, out, _ = check(capsys, 'train.json', '--images', 'images')
    assert status == 1 and 'a training would fail' in out
    assert names[0] in row(out, 'image file cannot be read')
    assert names[1] in row(out, 'image of another size than stated')
    (folder / 'images' / names[0]).unlink()
    assert names[0] in row(check(capsys, 'train.json', '--images', 'images')[1], 'is missing')
    assert check(capsys, 'train.json')[0] == 0  # without the folder nobody looks


def test_what_only_the_data_set_finds_is_said_too(folder, capsys):
    def empty(content):
        for ann in content['annotations']:
            ann.update(keypoints=[0] * 21, num_keypoints=0)

    change(folder / 'train.json', empty)
    status, out, _ = check(capsys, 'train.json')
    assert status == 1 and "has no person with keypoints" in row(out, 'no person')


def test_repair_goes_into_another_file(folder, capsys):
    def spoil(content):
        content['annotations'][1].update(id=content['annotations'][0]['id'], area=0)

    change(folder / 'train.json', spoil)
    before = (folder / 'train.json').read_bytes()
    assert check(capsys, 'train.json')[0] == 1
    status, out, err = check(capsys, 'train.json', '--repair', './train.json')
    assert status == 2 and 'an input; give another name' in err
    status, out, _ = check(capsys, 'train.json', '--repair', 'new.json')
    assert status == 0 and 'repaired: id given anew (1)' in out and 'area of the box (1)' in out
    assert (folder / 'train.json').read_bytes() == before
    status, out, _ = check(capsys, 'new.json', '--repair', 'again.json')
    assert status == 0 and 'nothing to repair' in out
    assert json.loads((folder / 'again.json').read_text()) == json.loads(
        (folder / 'new.json').read_text()
    )


def test_no_config_where_a_training_would_fail(folder, capsys):
    change(folder / 'train.json', lambda c: c['annotations'][0].pop('area'))
    words = ('--val', 'val.json', '--images', 'images', '--config', 'horse.py')
    status, out, _ = check(capsys, 'train.json', *words)
    assert status == 1 and 'see what --repair mends' in out
    assert not (folder / 'horse.py').exists() and not (folder / 'horse_info.py').exists()
    status, out, _ = check(capsys, 'train.json', '--repair', 'new.json', *words)
    assert status == 0 and "ann_file='new.json'" in (folder / 'horse.py').read_text()


def test_odd_names_and_bones_are_named(folder, capsys):
    def rename(content):
        category = content['categories'][0]
        category['keypoints'][:3] = ['left_ear', 'x', 'y']
        category['skeleton'] = [[0, 1]]

    change(folder / 'train.json', rename)
    _, out, _ = check(capsys, 'train.json')
    assert 'left_ear' in row(out, 'one side without the other')
    assert 'counts from 0' in out

    def remove(content):
        content['categories'][0].update(keypoints=list('abcdefg'), skeleton=[])

    change(folder / 'train.json', remove)
    _, out, _ = check(capsys, 'train.json')
    assert 'each joint is a group of its own' in out and 'no joint has a left and a right' in out


def test_the_same_images_twice(folder, capsys):
    _, out, _ = check(capsys, 'train.json', '--val', 'train.json')
    assert 'warning: 2 images are in both files' in out


@pytest.mark.parametrize(
    'words, message',
    [
        ('train.json --picture a.png', '--picture needs --images'),
        ('train.json --config a.py --images images', '--config needs --images and --val'),
        ('train.json --val other.json', 'its joints are not those of train.json'),
        ('train.json --picture a.png --images empty', 'no person has a labelled joint'),
    ],
)
def test_refusals(folder, capsys, words, message):
    shutil.copy('val.json', 'other.json')
    (folder / 'empty').mkdir()
    change(folder / 'other.json', lambda c: c['categories'][0]['keypoints'].reverse())
    status, _, err = check(capsys, *words.split())
    assert status == 2 and message in err and not (folder / 'a.png').exists()
