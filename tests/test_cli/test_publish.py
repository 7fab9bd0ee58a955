"""Checkpoints made small, and read again."""

import pytest
import torch
from safetensors.torch import load_file

import mspose_command
from mspose_plugin.checkpoint.loading import load_checkpoint_file
from mspose_plugin.utils.errors import InputError


@pytest.fixture
def checkpoint(tmp_path):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.rand(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    path = tmp_path / 'epoch_1.pth'
    content = dict(
        meta=dict(epoch=1), state_dict=net.state_dict(), optimizer=optimizer.state_dict()
    )
    torch.save(content, path)
    return path, net


@pytest.mark.parametrize('name', ['a.safetensors', 'a.pth'])
@pytest.mark.parametrize('half', [False, True])
def test_the_weights_alone(checkpoint, tmp_path, name, half):
    path, net = checkpoint
    mspose_command.main(['publish', str(path), str(tmp_path / name), *['--half'] * half])
    again = load_checkpoint_file(tmp_path / name)
    state = again if name.endswith('.safetensors') else again['state_dict']
    assert set(again) <= {'meta', 'state_dict'} or set(state) == set(net.state_dict())
    for key, value in net.state_dict().items():
        kind = torch.float16 if half and value.is_floating_point() else value.dtype
        assert state[key].dtype == kind
        assert torch.allclose(state[key].to(value.dtype), value, atol=1e-3 * half)
    assert (tmp_path / name).stat().st_size < path.stat().st_size
    twin = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    twin.load_state_dict(state)
    assert next(twin.parameters()).dtype == torch.float32


def test_what_cannot_be_published(checkpoint, tmp_path, capsys):
    path, net = checkpoint

    def refused(*argv):
        with pytest.raises(SystemExit) as e:
            mspose_command.main(['publish', *map(str, argv)])
        assert e.value.code == 2
        return capsys.readouterr().err

    assert 'is CHECKPOINT itself' in refused(path, path)
    assert 'a.onnx' in refused(path, tmp_path / 'a.onnx')
    torch.save(dict(state_dict=dict(a=torch.tensor([1e6]))), tmp_path / 'large.pth')
    assert 'too large for float16' in refused(
        tmp_path / 'large.pth', tmp_path / 'b.safetensors', '--half'
    )
    assert not (tmp_path / 'b.safetensors').exists()


def test_a_broken_file_is_refused(checkpoint, tmp_path):
    path, net = checkpoint
    target = tmp_path / 'a.safetensors'
    mspose_command.main(['publish', str(path), str(target)])
    whole = target.read_bytes()
    assert len(load_file(target)) == len(net.state_dict())
    for broken in (b'', whole[:20], whole[:-5], b'\xff' * 64, b'<html>' * 20):
        target.write_bytes(broken)
        with pytest.raises(InputError, match='a.safetensors'):
            load_checkpoint_file(target)
