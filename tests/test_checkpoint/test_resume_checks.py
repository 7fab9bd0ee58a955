"""What a resumed training takes over from a checkpoint is looked at before it is used."""

import shutil
from collections import OrderedDict

import pytest
import torch

from mspose_plugin.checkpoint.loading import load_checkpoint_file
from mspose_plugin.checkpoint.resume_checks import check_intact, find_intact_checkpoint
from mspose_plugin.utils.errors import InputError

SCHEDULERS = [
    dict(type='ReduceOnPlateauLR', monitor='score', rule='greater', patience=1),
    dict(type='MultiStepLR', milestones=[5, 7], by_epoch=True),
]


def change(path):
    """Return a function that sets what ``path`` leads to in a checkpoint."""

    def apply(checkpoint, value):
        *way, last = path
        for key in way:
            checkpoint = checkpoint[key]
        if value is ...:
            del checkpoint[last]
        else:
            checkpoint[last] = value

    return apply


HUB = ('message_hub', 'runtime_info')
GROUP = ('optimizer', 'param_groups', 0)
CASES = [
    (('meta',), 3, 'holds weights without the state of a training'),
    (('meta', 'epoch'), ..., 'holds weights without the state of a training'),
    (('meta', 'epoch'), '1', "meta.epoch='1', expected an integer of 0 or more"),
    (('meta', 'epoch'), True, 'meta.epoch=True'),
    (('meta', 'iter'), -2, 'meta.iter=-2, expected an integer of 0 or more'),
    (('meta', 'iter'), None, 'meta.iter=None'),
    (('meta', 'seed'), 'x', "meta.seed='x', expected an integer"),
    (('message_hub',), [], 'message_hub, expected a dict of the dicts log_scalars, runtime_info'),
    (('message_hub', 'log_scalars'), 3, 'message_hub, expected a dict of the dicts'),
    ((*HUB, 'best_score'), 'high', "runtime_info.best_score='high', expected a number"),
    ((*HUB, 'best_score_AP'), [], r'runtime_info.best_score_AP=\[\], expected a number'),
    ((*HUB, 'best_ckpt'), 3, 'runtime_info.best_ckpt=3, expected a path'),
    ((*HUB, 'keep_ckpt_ids'), 'ab', "keep_ckpt_ids='ab', expected a list of integers"),
    ((*HUB, 'outdated_ckpts'), [1], r'outdated_ckpts=\[1\], expected a list of paths'),
    (('optimizer',), 'adam', 'optimizer is a str, expected a dict'),
    (('optimizer', 'state'), [], 'optimizer, expected a dict of param_groups'),
    (('optimizer', 'state', 0), 'x', 'optimizer, expected a dict of param_groups'),
    (('optimizer', 'param_groups'), [], 'param_groups has 0 entries, the config makes 1'),
    (('optimizer', 'param_groups'), ..., 'optimizer, expected a dict of param_groups'),
    ((*GROUP, 'params'), [0], r'param_groups\[0\].params has 1 entries, the config makes 2'),
    ((*GROUP, 'lr'), 'fast', r"param_groups\[0\].lr='fast', expected a number"),
    ((*GROUP, 'momentum'), ..., r'param_groups\[0\] has no momentum, which the config needs'),
    (('param_schedulers',), 7, 'param_schedulers is a int, expected a list'),
    (('param_schedulers',), [], 'param_schedulers has 0 entries, the config makes 2'),
    (('param_schedulers', 1), 'x', r'param_schedulers\[1\] is a str, expected a dict'),
    (('param_schedulers', 1, 'last_step'), 'x', r"\[1\].last_step='x', expected a number"),
]


@pytest.fixture()
def checkpoint(train, tmp_path):
    """Return the checkpoint of a run of one epoch, as a dict and its path."""
    train([1.0], param_scheduler=SCHEDULERS)
    path = tmp_path / 'run/epoch_1.pth'
    return load_checkpoint_file(path), path


def test_entries_of_a_wrong_type(checkpoint, train, tmp_path):
    """All cases in one test: each needs a new Runner, none a new checkpoint."""
    whole, path = checkpoint
    edited = tmp_path / 'edited.pth'
    for way, value, message in CASES:
        torch.save(whole, edited)
        content = load_checkpoint_file(edited)
        change(way)(content, value)
        torch.save(content, edited)
        with pytest.raises(InputError, match=message) as refused:
            train(
                [1.0],
                'other',
                epochs=2,
                resume=True,
                load_from=str(edited),
                param_scheduler=SCHEDULERS,
            )
        assert str(refused.value).startswith(f'checkpoint {edited} '), refused.value
        assert '\n' not in str(refused.value)
    # and what is as it should be
    runner = train(
        [2.0], 'other', epochs=2, resume=True, load_from=str(path), param_scheduler=SCHEDULERS
    )
    assert runner.epoch == 2


def test_an_optimizer_of_another_kind(checkpoint, train):
    _, path = checkpoint
    with pytest.raises(InputError, match='has no betas, which the config needs'):
        train(
            [1.0],
            'other',
            epochs=2,
            resume=True,
            load_from=str(path),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
            param_scheduler=SCHEDULERS,
        )


def test_find_intact_checkpoint(checkpoint, tmp_path):
    content, good = checkpoint
    work = tmp_path / 'work'
    assert find_intact_checkpoint(work) is None
    work.mkdir()
    for name in ('best_score_epoch_9.pth', 'epoch_x.pth', 'epoch_3.pth'):
        shutil.copy(good, work / name)
    (work / 'epoch_4.pth').write_bytes(good.read_bytes()[:-999])  # cut off
    content['state_dict'] = OrderedDict(content['state_dict'], a=torch.tensor(torch.nan))
    torch.save(content, work / 'epoch_5.pth')
    torch.save(content['optimizer'], work / 'epoch_6.pth')
    assert find_intact_checkpoint(work) == str(work / 'epoch_3.pth')
    check_intact(good)
    for name, message in (
        ('epoch_4.pth', 'cannot be read'),
        ('epoch_5.pth', 'first a;'),
        ('epoch_6.pth', 'holds no state_dict'),
    ):
        with pytest.raises(InputError, match=f'{name}.*{message}'):
            check_intact(work / name)
        with pytest.raises(
            InputError,
            match=f'{name}.*{message}.*; {work}/epoch_3.pth is intact: '
            '--resume intact continues from it$',
        ):
            check_intact(work / name, work)
    (work / 'epoch_3.pth').unlink()
    assert find_intact_checkpoint(work) is None
