"""The counts of parameters and multiply-adds against published figures and a closed formula."""

import json

import pytest

from mspose_plugin.cli import running
from tools import complexity

TINY = '''
codec = dict(type='MSRAHeatmap', input_size=(64, 96), heatmap_size=(16, 24), sigma=1)
model = dict(
    type='TopdownPoseEstimator',
    backbone=dict(
        type='ResNet', depth=18,
        init_cfg=dict(type='Pretrained', checkpoint='https://unreachable.invalid/x.pth')),
    head=dict(
        type='HeatmapHead', in_channels=512, out_channels=5, deconv_out_channels=(8, ),
        deconv_kernel_sizes=(4, ), loss=dict(type='KeypointMSELoss')))
'''


@pytest.fixture
def count(tmp_path):
    """Return a function that runs the tool and returns its exit status and JSON."""
    out = tmp_path / 'new' / 'out.json'

    def run(*args):
        try:
            running.run(complexity, [*map(str, args), '--out', str(out)])
        except SystemExit as e:
            return e.code, None
        return 0, json.loads(out.read_text())

    return run


@pytest.fixture
def tiny(tmp_path):
    """Return a config with a head that can be counted by hand."""
    path = tmp_path / 'tiny.py'
    path.write_text(TINY)
    return path


def test_published_hourglass_and_its_regression_network(count, repository, capsys):
    """25.43 M as in the backbone's test; 27.4 GMACs, elsewhere published as 55 GFLOPs."""
    configs = [
        repository / 'configs' / c
        for c in (
            'ablation/hourglass8_mpii.py',
            'msspose/msspose_hourglass8_mpii_stage1.py',
            'msspose_hourglass8_mpii.py',
        )
    ]
    status, (hourglass, stage_one, complete) = count(*configs)
    assert status == 0 and hourglass['input_size'] == [256, 256]
    assert hourglass['params']['head'] == hourglass['gmacs']['head'] == 0
    assert round(hourglass['params']['total'], 2) == 25.43
    assert round(2 * hourglass['gmacs']['total']) == 55
    # refine=False: the regression network is there and does not run
    assert stage_one['params'] == complete['params'] and stage_one['params']['head'] > 3
    assert stage_one['gmacs']['head'] == 0 < complete['gmacs']['head']
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1, 'aligned'
    for line, row in zip(lines[1:], (hourglass, stage_one, complete)):
        assert line.split()[0] == row['config'] and line.split()[1] == '256x256'
        assert line.split()[-1] == f'{row["gmacs"]["total"]:.2f}'


def test_a_head_by_hand(count, tiny):
    """A 4x4 transposed convolution from 2x3 pixels, 1x1 prediction; nothing is fetched."""
    _, (row,) = count(tiny)
    assert row['input_size'] == [64, 96]
    deconv, final = 4 * 4 * 512 * 8, 8 * 5
    assert row['params']['head'] * 1e6 == pytest.approx(deconv + 2 * 8 + final + 5)
    assert row['gmacs']['head'] * 1e9 == pytest.approx(2 * 3 * deconv + 4 * 6 * final)
    for values in (row['params'], row['gmacs']):
        assert set(values) == {'backbone', 'head', 'total'}
        assert values['total'] == pytest.approx(values['backbone'] + values['head'])


def test_convolutions_grow_with_the_pixels(count, tiny):
    _, (one,) = count(tiny)
    _, (four,) = count(tiny, '--input-size', 128, 192)
    assert four['input_size'] == [128, 192] and four['params'] == one['params']
    assert four['gmacs']['total'] == pytest.approx(4 * one['gmacs']['total'])


@pytest.mark.parametrize(
    'text, args, words',
    [
        ('x = 1', (), 'no model with a backbone and a head'),
        (TINY.replace("'HeatmapHead'", "'NoHead'"), (), 'NoHead is not in the'),
        (TINY.replace('codec', 'other'), (), 'input_size'),
        (TINY, ('--input-size', 0, 5), '--input-size'),
        (None, (), 'no such file'),
    ],
)
def test_errors_in_one_line(count, tmp_path, capsys, text, args, words):
    path = tmp_path / 'config.py'
    if text is not None:
        path.write_text(text)
    assert count(path, *args)[0] == 2
    err = capsys.readouterr().err
    assert err.startswith('error: ') and words in err and err.count('\n') == 1
