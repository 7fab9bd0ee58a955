"""Whether a place takes files is found out without a trace."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import (
    backend_of,
    by_number,
    check_writable_file,
    check_writable_folder,
    write_atomically,
    write_json,
)


@pytest.fixture
def small(tmp_path):
    """Return a file system of 64 KiB; skip where mounting is not allowed."""
    place = tmp_path / 'small'
    place.mkdir()
    mount = shutil.which('mount')
    if (
        not mount
        or subprocess.run(
            [mount, '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place], capture_output=True
        ).returncode
    ):
        pytest.skip('no right to mount a small file system')
    yield place
    subprocess.run(['umount', place], check=True)


def test_numbers_sort_by_their_value():
    names = ['f/b1', 'f/a10.png', 'f/a9.png', 'f10/a1', 'f9/a2', '3', '20', '']
    assert sorted(names, key=by_number) == [
        *('', '3', '20', 'f9/a2', 'f10/a1', 'f/a9.png', 'f/a10.png', 'f/b1')
    ]


def test_good_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'there.json').write_text('old')
    for path in ('a.json', 'new/folder/a.JSON', 'there.json', str(tmp_path / 'a.json')):
        check_writable_file(path, '.json')
    check_writable_file('any.thing')
    check_writable_folder('new/folder')
    assert os.listdir() == ['there.json'] and (tmp_path / 'there.json').read_text() == 'old'


def test_a_full_place(small):
    check_writable_folder(str(small / 'new'))
    (small / 'large').write_bytes(bytes(64 * 1024))
    for check in (check_writable_file, check_writable_folder):
        with pytest.raises(InputError, match='No space left'):
            check(str(small / 'new' / 'file'))


def test_a_read_only_place(small):
    subprocess.run(['mount', '-o', 'remount,ro', small], check=True)
    with pytest.raises(InputError, match='Read-only file system'):
        check_writable_file(str(small / 'a.json'))


def test_a_folder_without_permission(tmp_path):
    if os.geteuid() == 0:
        pytest.skip('the superuser may write anywhere')
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match='Permission denied'):
        check_writable_file(str(tmp_path / 'a.json'))
    tmp_path.chmod(0o700)


def test_unknown_schemes():
    with pytest.raises(InputError, match="abc://x: unknown scheme 'abc'"):
        backend_of('abc://x')
    with pytest.raises(InputError, match='s3://x/y: .*petrel_client'):
        check_writable_folder('s3://x/y')


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path, link = tmp_path / 'new' / 'a.json', tmp_path / 'link'
    write_json(path, dict(a=np.arange(2), b=np.float64(0.5)))
    assert path.read_text() == '{"a": [0, 1], "b": 0.5}\n'
    link.symlink_to(path)
    write_atomically(link, b'new')
    assert link.is_symlink() and path.read_bytes() == b'new'

    def full(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError) as e:
        write_atomically(path, b'newer')
    assert e.value.filename == str(path)
    assert path.read_bytes() == b'new' and os.listdir(path.parent) == ['a.json']
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, b'')
