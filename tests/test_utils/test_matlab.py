"""MATLAB files: what SciPy reads back, and the same bytes for the same content."""

import time

import numpy as np
from scipy.io import loadmat

from mspose_plugin.utils.matlab import cell_array, struct_array, write_mat


def test_structs_and_cells_come_back(tmp_path):
    people = struct_array([dict(x=1.0, name=dict(first='a')), dict(x=2.0, name=dict(first='b'))])
    write_mat(tmp_path / 'new' / 'a.mat', dict(people=people, cells=cell_array(['c', 'd'])))
    content = loadmat(tmp_path / 'new' / 'a.mat')
    assert [p['x'].item() for p in content['people'][0]] == [1.0, 2.0]
    assert content['people'][0, 1]['name']['first'].item().item() == 'b'
    assert [cell[0].item() for cell in content['cells']] == ['c', 'd']


def test_equal_content_gives_equal_bytes(tmp_path, monkeypatch):
    written = []
    for year in ('1999', '2050'):
        monkeypatch.setattr(time, 'asctime', lambda *_, year=year: f'Fri Jan  1 00:00:00 {year}')
        write_mat(tmp_path / 'a.mat', dict(a=np.arange(3)), 'MATLAB 5.0 MAT-file, a test')
        written.append((tmp_path / 'a.mat').read_bytes())
    assert written[0] == written[1] and written[0].startswith(b'MATLAB 5.0 MAT-file, a test')
