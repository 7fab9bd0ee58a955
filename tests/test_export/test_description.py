"""What a file says of itself comes back, and nothing else gets in."""

import copy
import json

import pytest

from mspose_plugin.export.description import Description, describe
from mspose_plugin.utils.errors import InputError


@pytest.fixture(scope='module')
def described(predictor):
    cfg = predictor.inferencer.cfg
    return describe(cfg, predictor.model.dataset_meta, 'normalized', 'heatmaps', 'fp32')


def test_it_comes_back(described):
    assert Description.from_json(described.to_json(), 'a.onnx') == described


def test_it_is_the_data_sets(described, predictor):
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    own, meta = parse_pose_metainfo(described.metainfo()), predictor.model.dataset_meta
    for key in ('keypoint_id2name', 'flip_indices', 'skeleton_links', 'dataset_name'):
        assert own[key] == meta[key], key
    for key in ('keypoint_colors', 'skeleton_link_colors', 'sigmas'):
        assert (own[key] == meta[key]).all(), key


CODEC = dict(type='MSRAHeatmap', input_size=[64, 64], heatmap_size=[16, 16], sigma=1)


@pytest.mark.parametrize(
    'change',
    [
        dict(codec=dict(CODEC, type='os.system')),
        dict(codec=dict(CODEC, type='mmpose.codecs.MSRAHeatmap')),
        dict(codec=dict(CODEC, type=['MSRAHeatmap'])),
        dict(codec=dict(CODEC, sigma=dict(type='os.system'))),
        dict(codec=dict(CODEC, command='ls')),
        dict(codec=dict(CODEC, heatmap_size=None)),
        dict(codec=3),
        dict(test_cfg=dict(image_loader=dict(backend_args=dict(backend='petrel')))),
        dict(test_cfg=dict(flip_test='yes')),
        dict(keypoints=['a'] * 16),
        dict(keypoints=[]),
        dict(keypoints='wrist'),
        dict(keypoints=None),
        dict(flip_indices=[99] * 16),
        dict(skeleton=[[0, 16]]),
        dict(input_size=[1e9, 64]),
        dict(input_size='64'),
        dict(std=[0, 1, 1]),
        dict(mean=[float('nan')] * 3),
        dict(padding=[None, 1]),
        dict(output='everything'),
        dict(input=['bgr']),
        dict(dataset=3),
        dict(version=2),
        dict(pipeline=[dict(type='os.system', command='ls')]),
    ],
)
def test_a_description_by_somebody_else(described, change):
    content = {**json.loads(described.to_json()), **change}
    with pytest.raises(InputError) as error:
        Description.from_json(json.dumps(content), 'a.onnx')
    assert str(error.value).startswith('a.onnx') and '\n' not in str(error.value)


@pytest.mark.parametrize('text', ['', '[]', '3', '{', '{"version": 1}', '{"version": [1]}'])
def test_no_description(text):
    with pytest.raises(InputError, match='a.onnx'):
        Description.from_json(text, 'a.onnx')


@pytest.mark.parametrize(
    'change, words',
    [
        ({'model.head.decoder.type': 'RegressionLabel'}, 'decoder.type'),
        ({'test_dataloader.dataset.pipeline': []}, 'pipeline'),
        (
            {'test_dataloader.dataset.pipeline': [dict(type='BottomupResize')]},
            'BottomupResize',
        ),
    ],
)
def test_models_that_cannot_be_described(predictor, change, words):
    cfg = copy.deepcopy(predictor.inferencer.cfg)
    cfg.merge_from_dict(change)
    with pytest.raises(InputError, match=words):
        describe(cfg, predictor.model.dataset_meta, 'normalized', 'heatmaps', 'fp32')
