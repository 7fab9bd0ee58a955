"""Named argument checks: one line of code at the call, one line of message for the user.

They belong where a value enters the package (a config entry, an argument, a file); code further
inside trusts its callers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from math import inf
from numbers import Integral, Real
from typing import Any

import numpy as np

from mspose_plugin.utils.errors import InputError, said


def check(condition: object, message: str) -> None:
    """Raise an :class:`InputError` unless a condition holds.

    Args:
        condition: what has to be true.
        message: what is wrong, what was expected and what to do, in one line.

    Raises:
        InputError: with the message.
    """
    if not condition:
        raise InputError(message)


def check_value(condition: object, name: str, value: object, expected: str) -> None:
    """Refuse a value with ``name=value: expected ...`` unless a condition holds.

    Args:
        condition: what has to be true.
        name: of the argument or config entry, such as ``'MLPEHead: sigmas'``.
        value: what was given.
        expected: what is valid, in words.

    Raises:
        InputError: the condition does not hold.
    """
    if not condition:
        raise InputError(f'{name}={shown(value)}: expected {expected}')


def shown(value: object) -> str:
    """Return ``repr(value)`` on one line, cut short where it is long."""
    text = ' '.join(repr(value).split())
    if len(text) <= 80:
        return text
    if isinstance(value, Sized) and not isinstance(value, str):
        return f'{text[:60]} ... ({len(value)} entries)'
    return f'{text[:60]} ...'


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Refuse a value that is not one of the choices.

    Args:
        name: of the argument or config entry.
        value: what was given.
        choices: the valid values.

    Raises:
        InputError: another value.
    """
    choices = list(choices)
    check_value(value in choices, name, value, f'one of {", ".join(map(repr, choices))}')


def check_number(
    name: str, value: Any, low: float = -inf, high: float = inf, whole: bool = False
) -> None:
    """Refuse a value that is not a number within limits.

    Args:
        name: of the argument or config entry.
        value: what was given; NaN, booleans and text are never numbers.
        low: the smallest valid number. Default: no limit.
        high: the largest valid number. Default: no limit.
        whole: only whole numbers are valid. Default: False.

    Raises:
        InputError: another value.
    """
    fits = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    kind = 'a whole number' if whole else 'a number'
    limits = f' from {low:g} to {high:g}' if high < inf else f' of {low:g} or more'
    check_value(fits and low <= value <= high, name, value, kind + limits * (low > -inf))


def check_positive(name: str, value: Any) -> None:
    """Refuse a value that is not a number above 0.

    Args:
        name: of the argument or config entry.
        value: what was given.

    Raises:
        InputError: another value.
    """
    fits = isinstance(value, Real) and not isinstance(value, bool) and float(value) > 0
    check_value(fits, name, value, 'a positive number')


def check_range(
    name: str, value: Any, low: float = -inf, high: float = inf, whole: bool = False
) -> None:
    """Refuse a value that is not two ascending numbers within limits.

    Args:
        name: of the argument or config entry.
        value: what was given; the two may be equal.
        low: as for :func:`check_number`.
        high: as for :func:`check_number`.
        whole: as for :func:`check_number`.

    Raises:
        InputError: another value.
    """
    pair = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2
    check_value(pair, name, value, 'two numbers, the smallest and the largest')
    for number in value:
        check_number(name, number, low, high, whole)
    check_value(value[0] <= value[1], name, value, 'the smaller number first')


def check_keys(name: str, value: object, known: Collection[str]) -> None:
    """Refuse a value that is not a dict, or that has unknown keys.

    Args:
        name: of the argument or config entry.
        value: what was given.
        known: the keys that it may have.

    Raises:
        InputError: not a dict, or an unknown key.
    """
    fits = isinstance(value, Mapping) and set(value) <= set(known)
    check_value(fits, name, value, f'a dict of {", ".join(known)}')


def check_shapes(owner: str, **arrays: tuple[Any, str]) -> None:
    """Refuse arrays whose shapes do not match each other.

    Args:
        owner: the function or file that they belong to, for the message.
        **arrays: name -> tensor or array (None is skipped) and its axes, such as ``'B K H W'``.
            An axis is a whole number, or a name that stands for the same length in all arrays.

    Raises:
        InputError: another number of axes, or two lengths for one name.

    Example:
        >>> check_shapes('pck', pred=(np.zeros((5, 16, 2)), 'N K 2'), norm=(np.ones(5), 'N'))
    """
    lengths: dict[str, int] = {}
    given = {name: part for name, part in arrays.items() if part[0] is not None}
    for array, axes in given.values():
        wanted = axes.split()
        fits = len(wanted) == len(array.shape) and all(
            length == (int(axis) if axis.isdigit() else lengths.setdefault(axis, length))
            for axis, length in zip(wanted, array.shape)
        )
        if not fits:
            got = ', '.join(f'{name} {tuple(a.shape)}' for name, (a, _) in given.items())
            expected = ', '.join(f'[{", ".join(a.split())}]' for _, a in given.values())
            raise InputError(f'{owner}: {got}: expected {expected}')


@contextmanager
def refused(message: str, *errors: type[Exception], remedy: str = '') -> Iterator[None]:
    """Turn errors of another package into one line.

    Args:
        message: what was being done, with the file or argument; the error's own text follows.
        *errors: the types of errors to turn; all if none is given. An :class:`InputError` passes
            unchanged.
        remedy: what to do about it. Default: nothing is said.

    Raises:
        InputError: one of the errors came.
    """
    try:
        yield
    except InputError:
        raise
    except errors or Exception as e:  # noqa: B030
        reason = getattr(e, 'strerror', None) or said(e)
        raise InputError(f'{message}: {reason}' + f'; {remedy}' * bool(remedy)) from e


def check_numbers(
    name: str, value: Any, shape: tuple[int | None, ...], finite: bool = True
) -> np.ndarray:
    """Return ``value`` as numbers of a shape, or refuse it.

    Args:
        name: of the argument, config entry or variable of a file.
        value: what was given.
        shape: the lengths of its axes; None stands for any length.
        finite: refuse NaN and infinity. Default: True.

    Returns:
        ``[*shape]``, float64.

    Raises:
        InputError: another value.
    """
    array = numbers(value, shape, finite)
    if array is None:
        axes = ', '.join(str(n or 'any') for n in shape)
        kind = 'finite numbers' if finite else 'numbers'
        raise InputError(f'{name}={shown(value)}: expected {kind} of shape [{axes}]')
    return array


def numbers(value: Any, shape: tuple[int | None, ...], finite: bool = True) -> np.ndarray | None:
    """Return ``value`` as an array of numbers, or None if it is not one.

    Args:
        value: anything.
        shape: the lengths of its axes; None stands for any length.
        finite: refuse NaN and infinity. Default: True.

    Returns:
        ``[*shape]``, float64; or None.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    fits = (
        array.dtype.kind in 'biuf'
        and array.ndim == len(shape)
        and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    )
    array = array.astype(np.float64) if fits else array
    return array if fits and (not finite or np.isfinite(array).all()) else None
