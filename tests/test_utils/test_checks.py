"""Each check passes what is valid and names what is not, in one line."""

import math

import numpy as np
import pytest
import torch

from mspose_plugin.utils.checks import (
    check,
    check_choice,
    check_keys,
    check_number,
    check_numbers,
    check_positive,
    check_range,
    check_shapes,
    check_value,
    numbers,
    refused,
)
from mspose_plugin.utils.errors import InputError


def said_by(call, *args, **kwargs):
    """Return the one line with which a call refuses its arguments."""
    with pytest.raises(InputError) as e:
        call(*args, **kwargs)
    assert '\n' not in str(e.value)
    return str(e.value)


def test_conditions():
    check(True, 'never said')
    check([0], 'never said')
    assert said_by(check, [], 'a list is empty; fill it') == 'a list is empty; fill it'
    check_value(True, 'thr', 0.5, 'a positive number')
    assert said_by(check_value, False, 'thr', -1, 'a positive number') == (
        'thr=-1: expected a positive number'
    )


def test_long_values_are_cut_short():
    message = said_by(check_value, False, 'x', np.zeros((100, 2)), 'less')
    assert len(message) < 120 and message.endswith('... (100 entries): expected less')


def test_choices():
    check_choice('aim', 'gain', ('gain', 'per-pass'))
    assert (
        said_by(check_choice, 'aim', 'x', ('gain', None)) == "aim='x': expected one of 'gain', None"
    )


@pytest.mark.parametrize('value', [0, 1, 0.5, np.float32(0.25), np.int64(1)])
def test_numbers_within_limits(value):
    check_number('p', value, 0, 1)


@pytest.mark.parametrize('value', [-0.1, 1.1, math.nan, math.inf, True, '0.5', None, [0.5]])
def test_numbers_outside_limits(value):
    assert said_by(check_number, 'p', value, 0, 1).endswith(': expected a number from 0 to 1')


def test_whole_numbers():
    check_number('n', 3, 1, whole=True)
    for value in (0, 1.0, True):
        message = said_by(check_number, 'n', value, 1, whole=True)
        assert message == f'n={value!r}: expected a whole number of 1 or more'
    assert said_by(check_number, 'n', 'x') == "n='x': expected a number"


def test_positive_numbers():
    check_positive('p', 1e-9)
    for value in (0, -1, math.nan, True, '1', None):
        assert said_by(check_positive, 'p', value) == f'p={value!r}: expected a positive number'


def test_ranges():
    check_range('r', (0, 1), 0, 1)
    check_range('r', [2, 2], 1, whole=True)
    for value, expected in (
        ((0, 2), 'a number from 0 to 1'),
        ((1, 0), 'the smaller number first'),
        ((0,), 'two numbers, the smallest and the largest'),
        (0.5, 'two numbers'),
        ('01', 'two numbers'),
        (('0', 1), 'a number'),
    ):
        assert f'expected {expected}' in said_by(check_range, 'r', value, 0, 1)


def test_keys():
    check_keys('cfg', dict(a=1), ('a', 'b'))
    for value in (dict(c=1), 3, ['a']):
        assert (
            said_by(check_keys, 'cfg', value, ('a', 'b'))
            == f'cfg={value!r}: expected a dict of a, b'
        )


def test_shapes():
    check_shapes('f', a=(np.zeros((2, 3)), 'N 3'), b=(torch.zeros(2), 'N'), c=(None, 'N'))
    message = said_by(check_shapes, 'f', a=(np.zeros((2, 3)), 'N K'), b=(np.zeros(3), 'N'))
    assert message == 'f: a (2, 3), b (3,): expected [N, K], [N]'
    for array in (np.zeros(2), np.zeros((2, 4)), np.zeros((2, 3, 1))):
        assert 'expected [N, 3]' in said_by(check_shapes, 'f', a=(array, 'N 3'))


def test_errors_of_others_become_one_line():
    def fail(error, *kinds, **kwargs):
        with refused('reading x', *kinds, **kwargs):
            raise error

    assert said_by(fail, ValueError('two\nlines')) == 'reading x: ValueError: two'
    assert said_by(fail, OSError(28, 'No space left'), OSError, remedy='make room') == (
        'reading x: No space left; make room'
    )
    assert said_by(fail, InputError('as it is')) == 'as it is'
    with pytest.raises(KeyError):
        fail(KeyError('a'), ValueError)


def test_numbers():
    assert numbers([[1, 2], [3, 4]], (None, 2)).dtype == np.float64
    assert numbers(3, ()) == 3
    for value, shape in (
        ([1, 2], (3,)),
        ([[1], [1, 2]], (2, None)),
        (['1'], (1,)),
        (None, ()),
        ([1, None], (2,)),
        ([math.nan], (1,)),
        ([math.inf], (1,)),
        ({}, (None,)),
    ):
        assert numbers(value, shape) is None
    assert numbers([math.nan], (1,), finite=False) is not None
    assert check_numbers('x', [[1, 2]], (None, 2)).shape == (1, 2)
    message = said_by(check_numbers, 'x', [1, None], (None,))
    assert message == 'x=[1, None]: expected finite numbers of shape [any]'
