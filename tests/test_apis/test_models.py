"""The models that have a name."""

import pytest
from mmengine.config import Config

from mspose_plugin.apis import models
from mspose_plugin.apis.models import find_config, find_model, known_models
from mspose_plugin.checkpoint import published
from mspose_plugin.utils.errors import InputError


def test_every_model_of_the_metafiles():
    known = known_models()
    names = [m.name for m in known] + [m.alias for m in known if m.alias]
    assert len(names) == len(set(names)) > 30
    for model in known:
        assert Config.fromfile(model.config).model
        assert find_config(model.config) == model.config


def test_published_weights_are_found_by_name():
    """By the address that converts them, for every publication."""
    addresses = {m.weights for m in known_models() if m.weights and '://' in m.weights}
    assert addresses == {published.SCHEME + name for name in published.URLS}
    config, weights = find_model('hourglass8-mpii')
    assert weights == 'hourglass://bearpaw_hg8'
    assert (config, weights) == find_model('hourglass8_mpii_bearpaw')
    assert Config.fromfile(config).model.backbone.num_stacks == 8
    assert any('88.64' in result for m in known_models() for result in m.results)


def test_ones_own_weights(tmp_path):
    path = find_config('msspose_hourglass8_mpii')
    assert find_model('msspose_hourglass8_mpii', 'a.pth') == (path, 'a.pth')
    assert find_model(path, 'a.pth') == (path, 'a.pth')
    assert find_model('hourglass8-mpii', 'a.pth')[1] == 'a.pth'
    assert find_model('human') == ('human', None)  # MMPose's
    for name in ('msspose_hourglass8_mpii', 'msspose/msspose_hourglass8_mpii_sgd', path):
        with pytest.raises(InputError, match='weights'):
            find_model(name)


def test_without_the_project_s_files(monkeypatch, tmp_path):
    monkeypatch.setattr(models.mspose_plugin, '__file__', str(tmp_path / 'p/__init__.py'))
    assert known_models() == [] and find_model('human') == ('human', None)
