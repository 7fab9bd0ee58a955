import json
from copy import deepcopy

import pytest

from mspose_plugin.datasets.inspection import Annotations
from mspose_plugin.datasets.inspection_rules import ERROR, NOTE, WARNING
from mspose_plugin.utils.errors import InputError

NAMES = ['tip', 'left_grip', 'right_grip', 'end']


def content(*changes, persons=2):
    """Return a good file of two persons, with changes to the first."""
    anns = [
        dict(
            id=i + 1,
            image_id=1,
            category_id=3,
            bbox=[10, 10, 40, 30],
            area=1200,
            num_keypoints=3,
            iscrowd=0,
            keypoints=[12, 12, 2, 30, 20, 1, 0, 0, 0, 45, 38, 2],
        )
        for i in range(persons)
    ]
    for change in changes:
        anns[0].update(change)
    for key in [k for k, v in anns[0].items() if v == 'gone']:
        del anns[0][key]
    return dict(
        images=[dict(id=1, file_name='a.png', width=100, height=80)],
        annotations=anns,
        categories=[dict(id=3, name='pliers', keypoints=NAMES, skeleton=[[1, 2]])],
    )


def found(file):
    """Return what -> finding, but for the joint that nobody has."""
    findings = Annotations(file).findings()
    return {f.what: f for f in findings if f.first != 'right_grip'}


def test_a_good_file_has_nothing():
    assert not found(content())
    assert Annotations(content()).repair() == []
    never = [f for f in Annotations(content()).findings()]
    assert [(f.level, f.first) for f in never] == [(WARNING, 'right_grip')]
    assert Annotations(content()).visibility().tolist() == [
        [0, 0, 2],
        [0, 2, 0],
        [2, 0, 0],
        [0, 0, 2],
    ]


LOST = float('nan')
CASES = [
    # change, words of the finding, level, what the repair makes of it (None: leaves it alone)
    (dict(area=0), 'area of 0', WARNING, dict(area=1200)),
    (dict(area='gone'), 'no area', ERROR, dict(area=1200)),
    (dict(num_keypoints=4), 'num_keypoints', WARNING, dict(num_keypoints=3)),
    (dict(num_keypoints='gone'), 'num_keypoints', WARNING, dict(num_keypoints=3)),
    (dict(bbox='gone'), 'no box', WARNING, dict(bbox=[5.4, 6.8, 46.2, 36.4])),
    (dict(bbox=[1, 2]), 'box is not', ERROR, dict(bbox=[5.4, 6.8, 46.2, 36.4])),
    (dict(bbox=[0, 0, LOST, 3]), 'box is not', ERROR, dict(bbox=[5.4, 6.8, 46.2, 36.4])),
    (dict(bbox=[9, 9, 0, 9]), 'without size', WARNING, dict(bbox=[5.4, 6.8, 46.2, 36.4])),
    (dict(bbox=[200, 9, 9, 9]), 'without size', WARNING, dict(bbox=[5.4, 6.8, 46.2, 36.4])),
    (dict(bbox=[-10, 10, 80, 90]), 'reaches out', NOTE, dict(bbox=[0, 10, 70, 70])),
    (
        dict(keypoints=[LOST, 12, 2, 30, 20, 1, 0, 0, 0, 45, 38, 2]),
        'NaN',
        ERROR,
        dict(keypoints=[0, 0, 0, 30, 20, 1, 0, 0, 0, 45, 38, 2], num_keypoints=2),
    ),
    (
        dict(keypoints=[12, 12, 2, 30, 20, 1, 7, 7, 0, 45, 38, 2]),
        'v = 0',
        NOTE,
        dict(keypoints=[12, 12, 2, 30, 20, 1, 0, 0, 0, 45, 38, 2]),
    ),
    (dict(keypoints=[12, 12, 2]), 'not 3 numbers', ERROR, None),
    (dict(keypoints=[12, 12, 3, *[0] * 9], num_keypoints=1), 'visibility', ERROR, None),
    (dict(keypoints='gone'), 'no keypoints', WARNING, None),
    (dict(keypoints=[0] * 12, num_keypoints=0), 'no labelled', NOTE, None),
    (
        dict(keypoints=[120, 12, 2, 30, 20, 1, 0, 0, 0, 45, 38, 2]),
        'outside the image',
        WARNING,
        None,
    ),
    (dict(image_id=9), 'of no image', WARNING, None),
    (dict(category_id=9), 'of no category', WARNING, None),
    (dict(iscrowd=1), 'crowd', NOTE, None),
]


@pytest.mark.parametrize(
    'change, words, level, repaired', CASES, ids=[f'{w} {i}' for i, (_, w, *_) in enumerate(CASES)]
)
def test_findings_and_repairs(change, words, level, repaired):
    file = content(change)
    finding = next(f for what, f in found(file).items() if words in what)
    assert (finding.level, finding.times, finding.first[:10]) == (level, 1, 'annotation')
    assert bool(finding.repair) == (repaired is not None)
    before = json.dumps(file['annotations'])
    done = Annotations(file).repair()
    if repaired is None:
        assert not done and json.dumps(file['annotations']) == before
    else:
        assert done and file['annotations'][0].items() >= repaired.items()
        assert not any(words in what for what in found(file))
        assert file['annotations'][1] == content()['annotations'][1]
        assert Annotations(file).repair() == []


def test_an_area_belongs_to_the_box_it_was_made_of():
    """A new box from the joints has a new area; a clipped one keeps that of the segmentation."""
    file = content(dict(bbox=[9, 9, 0, 9]))
    Annotations(file).repair()
    x, y, width, height = file['annotations'][0]['bbox']
    assert file['annotations'][0]['area'] == pytest.approx(width * height)
    file = content(dict(bbox=[-10, 10, 80, 90]))
    Annotations(file).repair()
    assert file['annotations'][0]['area'] == 1200


def test_ids():
    file = content(persons=4)
    for ann, number in zip(file['annotations'], (5, 5, None, 5)):
        ann['id'] = number
    assert found(file)['id of several annotations, or no whole number'].level == ERROR
    assert Annotations(file).repair() == [('id given anew', 3)]
    assert [ann['id'] for ann in file['annotations']] == [5, 6, 7, 8]
    file['images'] *= 2
    finding = found(file)['id of several images, or no whole number']
    assert finding.level == ERROR and not finding.repair


def test_images_and_categories():
    file = content()
    file['images'] += [dict(id=2, file_name='b.png', width=100), dict(id=3, width=1, height=1)]
    assert found(file)['image without width or height'].first == 'image 2'
    assert found(file)['image without annotation'].times == 2
    file['categories'].append(dict(id=4, keypoints=['nose']))
    assert found(file)['category with other joints'].level == ERROR


@pytest.mark.parametrize(
    'file, words',
    [
        ([], 'COCO'),
        ({}, 'COCO'),
        (dict(content(), images=3), 'COCO'),
        (dict(content(), annotations=[3]), 'COCO'),
        (dict(content(), categories=[dict(id=1, name='cat')]), "no category has 'keypoints'"),
    ],
)
def test_other_files(file, words):
    with pytest.raises(InputError, match=words):
        Annotations(deepcopy(file))
