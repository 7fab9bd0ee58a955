"""``init_cfg`` with ``type='Pretrained'``: everything is loaded, or one line says what is not."""

import pytest
import torch
from mmengine.logging import MMLogger
from mmpose.registry import MODELS

from mspose_plugin.utils.errors import InputError

SMALL = dict(type='ResNeSt', depth=50, stem_channels=16, base_channels=8)


def resnest(**cfg):
    """Return a small ResNeSt, its last batch norms included in what is random."""
    model = MODELS.build({**SMALL, **cfg})
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


def initialised(path, **cfg):
    """Return the weights of a ResNeSt that starts from a checkpoint with the backbone's prefix."""
    init = dict(type='Pretrained', checkpoint=str(path), prefix='backbone.', strict=True)
    init.update(cfg.pop('init', {}))
    model = MODELS.build({**SMALL, 'init_cfg': init, **cfg})
    model.init_weights()
    return model.state_dict()


@pytest.fixture
def checkpoint(tmp_path):
    """Return a function that saves weights, their names changed, and returns the path."""

    def save(prefix='', state=None, **more):
        state = resnest().state_dict() if state is None else state
        torch.save(
            dict(state_dict={prefix + k: v for k, v in state.items()}, **more),
            tmp_path / 'weights.pth',
        )
        return tmp_path / 'weights.pth'

    return save


@pytest.fixture
def warnings(monkeypatch):
    """Return the list of what mmengine's logger is told as a warning."""
    told = []
    logger = MMLogger.get_instance('checked_pretrained')
    monkeypatch.setattr(logger, 'handle', lambda record: told.append(record.getMessage()))
    return told


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.', 'module.backbone.'])
def test_every_tensor_is_loaded_bit_for_bit(checkpoint, prefix):
    state = resnest().state_dict()
    loaded = initialised(checkpoint(prefix, state))
    assert list(loaded) == list(state)
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_without_a_prefix(checkpoint):
    state = resnest().state_dict()
    loaded = initialised(checkpoint('', state), init=dict(prefix=None))
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_counters_may_be_missing(checkpoint):
    """Files from before PyTorch 0.4.1 have none."""
    state = {k: v for k, v in resnest().state_dict().items() if 'num_batches' not in k}
    loaded = initialised(checkpoint('', state))
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.parametrize(
    'extra, prefix', [('fc.weight', ''), ('head.fc.weight', ''), ('fc.weight', 'backbone.')]
)
def test_a_classifier_is_logged_by_name(checkpoint, warnings, extra, prefix):
    state = {**resnest().state_dict(), extra: torch.zeros(1)}
    initialised(checkpoint(prefix, state))
    assert [line for line in warnings if '1 tensors of ' in line and line.endswith(extra)]


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_another_stem_is_refused(checkpoint, prefix):
    """The published ResNeSt-101 has a stem of 128 channels, MMPose's default is 64."""
    path = checkpoint(prefix, resnest(stem_channels=24).state_dict())
    with pytest.raises(
        InputError,
        match=(
            rf'{path} does not fit the model: 17 tensors of another shape, first '
            r'stem.0.conv.weight \(checkpoint \(12, 3, 3, 3\), model \(8, 3, 3, 3\)\); '
            r'.*stem_channels'
        ),
    ):
        initialised(path)


def test_a_converted_file_says_what_it_fits(checkpoint):
    meta = dict(backbone={**SMALL, 'stem_channels': 24})
    path = checkpoint('backbone.', resnest(stem_channels=24).state_dict(), meta=meta)
    with pytest.raises(InputError, match=r"depth=50, stem_channels=24.* must agree with$"):
        initialised(path)


def test_missing_tensors_are_refused(checkpoint):
    state = resnest().state_dict()
    del state['layer3.1.conv2.fc1.weight'], state['layer3.1.conv2.fc1.bias']
    with pytest.raises(InputError, match='2 tensors missing, first layer3.1.conv2.fc1.weight;'):
        initialised(checkpoint('backbone.', state))


def test_a_file_without_weights_is_named(tmp_path):
    torch.save(dict(state_dict=dict(a=1)), tmp_path / 'weights.pth')
    with pytest.raises(InputError, match="weights.pth: the entry 'a'"):
        initialised(tmp_path / 'weights.pth')


def test_not_strict_is_mmengine_s(checkpoint):
    state = resnest(stem_channels=24).state_dict()
    loaded = initialised(checkpoint('backbone.', state), init=dict(strict=False))
    assert torch.equal(loaded['layer4.2.conv3.weight'], state['layer4.2.conv3.weight'])
    assert loaded['stem.0.conv.weight'].shape != state['stem.0.conv.weight'].shape
