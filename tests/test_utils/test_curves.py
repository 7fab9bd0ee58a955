import json

import cv2
import pytest

from mspose_plugin.utils.curves import Curves, draw_curves, read_curves
from mspose_plugin.utils.errors import InputError


def write(folder, name, *entries):
    file = folder / name / 'vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text('\n'.join(e if isinstance(e, str) else json.dumps(e) for e in entries))


def step(epoch, loss):
    return dict(epoch=epoch, iter=7, step=7, lr=0.1, loss=loss, time=1.0)


def test_a_resumed_run_is_one_curve(tmp_path):
    val = {'PCK': 10.0, 'coco/AP': 0.25, 'val/loss': 3.0, 'step': 1}
    write(tmp_path, '20260101', step(1, 5.0), step(1, 4.0), val, step(2, 3.0), step(2, 2.5), '{"lo')
    write(tmp_path, '20260102', step(2, 3.5), {**val, 'PCK': 20.0, 'step': 2})
    curves = read_curves(tmp_path)
    assert curves.lines['loss'] == [(0.5, 5.0), (1.0, 4.0), (1.5, 3.0), (2.0, 3.5)]
    assert curves.lines['PCK'] == [(1.0, 10.0), (2.0, 20.0)] and 'time' not in curves.lines
    assert curves.unit == 'epoch'
    draw_curves(curves, str(tmp_path / 'a.png'), 'title')
    assert cv2.imread(str(tmp_path / 'a.png')).std() > 5
    draw_curves(curves, str(tmp_path / 'a.svg'))
    assert b'<svg' in (tmp_path / 'a.svg').read_bytes()


def test_gaps_are_left_out(tmp_path):
    """NaN of a broken step, and the -1 that COCO writes where there is nothing to count."""
    val = {'coco/AP': -1.0, 'step': 1}
    write(tmp_path, 'a', step(1, float('nan')), step(1, 4.0), val)
    curves = read_curves(tmp_path)
    assert curves.lines['loss'] == [(1.0, 4.0)]
    draw_curves(curves, str(tmp_path / 'a.png'))


def test_iterations(tmp_path):
    entries = [dict(iter=i, step=i, lr=0.1, loss=5.0 - i) for i in (1, 2)]
    write(tmp_path, 'a', *entries, {'PCK': 10.0, 'step': 2})
    curves = read_curves(tmp_path)
    assert curves.unit == 'iteration' and curves.lines['loss'] == [(1.0, 4.0), (2.0, 3.0)]
    draw_curves(curves, str(tmp_path / 'a.svg'))


def test_iterations_as_mmengine_logs_them_by_default(tmp_path):
    """Epoch 1 throughout, and every validation at step 0."""
    first, second = (dict(epoch=1, iter=i, step=i, lr=0.1, loss=5.0 - i) for i in (1, 2))
    write(tmp_path, 'a', first, {'PCK': 10.0, 'step': 0}, second, {'PCK': 20.0, 'step': 0})
    curves = read_curves(tmp_path)
    assert curves.unit == 'iteration' and curves.lines['loss'] == [(1.0, 4.0), (2.0, 3.0)]
    assert curves.lines['PCK'] == [(1.0, 10.0), (2.0, 20.0)]


def test_nothing_to_draw(tmp_path):
    with pytest.raises(InputError, match='has logged no loss'):
        draw_curves(Curves({}), str(tmp_path / 'a.png'))
    with pytest.raises(InputError, match='no .*scalars.json'):
        read_curves(tmp_path)
    write(tmp_path, 'a')
    with pytest.raises(InputError, match='no .*scalars.json'):
        read_curves(tmp_path)
