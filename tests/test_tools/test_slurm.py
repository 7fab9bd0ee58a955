"""The command lines that the Slurm scripts hand to ``srun``; there is no Slurm here to run them."""

import argparse
import os
import subprocess

import pytest
from tiny_run import REPOSITORY

from mspose_plugin.cli import test, train


@pytest.fixture
def srun(tmp_path):
    """Return a function that runs a script with an ``srun`` that prints port and arguments."""
    fake = tmp_path / 'srun'
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "port=$MASTER_PORT" "$@"\n')
    fake.chmod(0o755)

    def run(script, *words, **env):
        path = f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'
        done = subprocess.run(
            [REPOSITORY / 'tools' / script, *words],
            env={**os.environ, 'PATH': path, **env},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        at = lines.index('-u')
        return lines[: at - 1], lines[at - 1], lines[at + 1], lines[at + 2 :]

    return run


def test_training(srun, tmp_path):
    folder = tmp_path / 'a work dir'
    env = dict(GPUS='16', SRUN_ARGS='--quotatype=spot --time=10', PYTHON='python3')
    options, python, script, words = srun(
        'slurm_train.sh', 'gpu', 'pose', 'a.py', str(folder), '--amp', **env
    )
    assert options[:6] == [
        'port=29500',
        '--partition=gpu',
        '--job-name=pose',
        '--gres=gpu:8',
        '--ntasks=16',
        '--ntasks-per-node=8',
    ]
    assert {'--quotatype=spot', '--time=10', '--kill-on-bad-exit=1'} < set(options)
    assert python == 'python3' and script.endswith('/tools/train.py')
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_args(words)
    assert (args.config, args.work_dir, args.launcher, args.amp) == (
        'a.py',
        str(folder),
        'slurm',
        True,
    )


def test_testing_on_fewer_gpus_than_a_node_has(srun, tmp_path):
    checkpoint = tmp_path / 'a.pth'
    checkpoint.touch()
    options, _, script, words = srun(
        'slurm_test.sh', 'gpu', 'pose', 'a.py', str(checkpoint), GPUS='2', PORT='29501'
    )
    assert {'port=29501', '--gres=gpu:2', '--ntasks=2', '--ntasks-per-node=2'} < set(options)
    assert script.endswith('/tools/test.py')
    parser = argparse.ArgumentParser()
    test.add_arguments(parser)
    args = parser.parse_args(words)
    assert (args.config, args.checkpoint, args.launcher) == ('a.py', str(checkpoint), 'slurm')
