"""People in photographs, measured and collected; on drawn ones whose joints are known exactly."""

from types import SimpleNamespace

import numpy as np
import pytest

from mspose_plugin.cli.running import run
from mspose_plugin.datasets.mpii import ZeroBasedMpiiDataset
from mspose_plugin.synthetic import Recipe, write_dataset
from mspose_plugin.utils.errors import InputError
from tools import make_photographs, measure_photographs

BLACK = np.zeros((256, 256, 3), np.uint8)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp('people'), {}
    for kind, images in (('mpii', 'images'), ('coco', 'val2017')):
        write_dataset(Recipe(kind, 0, 3), folder / kind)
        (annotations,) = folder.glob(f'{kind}/annotations/*_val*.json')
        found[kind] = str(annotations.rename(folder / kind / images / annotations.name))
    return found


def answer(people, names, move):
    """Return a predictor that knows the truth and errs by ``move`` (pixels; person -> offset)."""
    truth = {(p['img_path'], tuple(p['bbox'][0])): p for p in people}

    def predict(path, box):
        person = truth[path, tuple(box[0])]
        return SimpleNamespace(
            keypoints=person['keypoints'] + move(person), boxes=box, plot=lambda **_: BLACK
        )

    predict.names = names
    return predict


@pytest.mark.parametrize('kind', ['mpii', 'coco'])
def test_truth_counts_and_what_is_far_off_does_not(files, kind):
    people, names, sigmas = measure_photographs.people_of(kind, files[kind])

    def share(move):
        return measure_photographs.measure(answer(people, names, move), kind, files[kind])

    perfect, pictures = share(lambda person: 0.0)
    assert len(pictures) == len(people) and not np.any(pictures)
    assert perfect['percent'] == 100 and perfect['interval'] == [100, 100]
    assert perfect['hits'] == perfect['joints'] == sum(n for _, n in perfect['by_joint'].values())
    assert perfect['persons'] == len(perfect['by_person']) == len(people)
    scored = [k for k, name in enumerate(names) if name not in ('pelvis', 'thorax')]
    visible = [np.reshape(p['keypoints_visible'], (len(names), -1))[scored, 0] > 0 for p in people]
    assert perfect['joints'] == np.sum(visible)
    wrong, pictures = share(lambda person: 1000.0)
    assert wrong['percent'] == 0 and all(
        (p == measure_photographs.RED).all(2).any() for p in pictures
    )


def test_the_limits_are_those_of_the_sets(files):
    people, _, _ = measure_photographs.people_of('mpii', files['mpii'])
    truth = people[0]['keypoints'][0]
    limit = 0.5 * 0.6 * 1.25 * np.linalg.norm(truth[9] - truth[8])
    for distance, hit in ((0.99 * limit, True), (1.01 * limit, False)):
        assert (measure_photographs.mpii_hits(people[0], truth + (distance, 0)) == hit).all()
    people, _, sigmas = measure_photographs.people_of('coco', files['coco'])
    truth, area = people[0]['keypoints'][0], people[0]['area']
    for similarity in (0.45, 0.55):
        distance = np.sqrt(-np.log(similarity) * 2 * area) * 2 * sigmas
        moved = truth + np.stack([distance, 0 * distance], axis=1)
        assert (measure_photographs.coco_hits(people[0], moved, sigmas) == (similarity > 0.5)).all()


def test_collected_people_are_those_of_the_files(files, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'photographs'
    argv = ['x', '--mpii', files['mpii'], '--coco', files['coco'], '--out', str(out)]
    monkeypatch.setattr('sys.argv', argv)
    run(make_photographs)
    collected = {
        kind: ZeroBasedMpiiDataset(
            ann_file=str(out / f'annotations/{kind}.json'),
            data_prefix=dict(img=str(out / 'images')),
            test_mode=True,
        ).load_data_list()
        for kind in ('mpii', 'coco', 'all')
    }
    assert len(collected['all']) == len(collected['mpii']) + len(collected['coco'])
    names = ZeroBasedMpiiDataset(lazy_init=True).metainfo['keypoint_id2name']
    where = {name: k for k, name in names.items()}
    for kind in ('mpii', 'coco'):
        people, names, _ = measure_photographs.people_of(kind, files[kind])
        shared = [k for k, name in enumerate(names) if name in where]
        theirs = [where[names[k]] for k in shared]
        people = [p for p in people if np.reshape(p['keypoints_visible'], -1)[shared].any()]
        assert len(people) == len(collected[kind]) and len(shared) > 7
        for given, found in zip(people, collected[kind]):
            visible = np.reshape(given['keypoints_visible'], -1)[shared] > 0
            assert np.array_equal(found['keypoints_visible'][0, theirs] > 0, visible)
            difference = found['keypoints'][0, theirs] - given['keypoints'][0, shared]
            assert np.abs(difference[visible]).max() < 1e-3
            (x1, y1, x2, y2), box = given['bbox'][0], found['bbox'][0]
            side, middle = max(x2 - x1, y2 - y1), np.array([x1 + x2, y1 + y2]) / 2
            np.testing.assert_allclose(box, [*(middle - side / 2), *(middle + side / 2)], atol=0.01)
    with pytest.raises(SystemExit):
        run(make_photographs)
    assert 'exists already' in capsys.readouterr().err


def test_images_of_one_name_are_refused(tmp_path, monkeypatch):
    for kind in ('mpii', 'coco'):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / '1.jpg').touch()

    def people_of(kind, file):
        return [dict(image=str(tmp_path / kind / '1.jpg'))]

    monkeypatch.setattr(make_photographs, 'people_of', people_of)
    given = SimpleNamespace(mpii='a.json', coco='b.json', out=str(tmp_path / 'out'))
    with pytest.raises(InputError, match='another image has this name'):
        make_photographs.main(given)
    assert not (tmp_path / 'out').exists()
