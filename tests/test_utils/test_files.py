"""Whether a place takes files is found out without a trace."""

import os
import shutil
import subprocess

import pytest

from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import backend_of, check_writable_file, check_writable_folder


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
