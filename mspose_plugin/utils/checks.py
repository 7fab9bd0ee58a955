"""Named checks of arguments: one line where they are called, one line for who gave the argument.

They stand where a value comes in (a config entry, an argument, a file); what is called from there
trusts its callers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from mspose_plugin.utils.errors import InputError, said


def check(condition: object, message: str) -> None:
    """Refuse what does not hold.

    Args:
        condition: what has to be true.
        message: what is wrong, what was expected and what to do, in one line.

    Raises:
        InputError: with the message.
    """
    if not condition:
        raise InputError(message)


def check_value(condition: object, name: str, value: object, expected: str) -> None:
    """Refuse a value: ``name=value: expected ...``.

    Args:
        condition: what has to be true.
        name: of the argument or config entry, such as ``'MLPEHead: sigmas'``.
        value: what was given.
        expected: what would do.

    Raises:
        InputError: the condition does not hold.
    """
    if not condition:
        raise InputError(f'{name}={value!r}: expected {expected}')


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Refuse a value that is none of the choices.

    Args:
        name: of the argument or config entry.
        value: what was given.
        choices: what would do.

    Raises:
        InputError: another value.
    """
    choices = list(choices)
    check_value(value in choices, name, value, f'one of {", ".join(map(repr, choices))}')


def check_keys(name: str, value: object, known: Collection[str]) -> None:
    """Refuse what is no dict, or has other keys.

    Args:
        name: of the argument or config entry.
        value: what was given.
        known: the keys that it may have.

    Raises:
        InputError: no dict, or an unknown key.
    """
    fits = isinstance(value, Mapping) and set(value) <= set(known)
    check_value(fits, name, value, f'a dict of {", ".join(known)}')


def check_shapes(owner: str, **arrays: tuple[Any, str]) -> None:
    """Refuse arrays whose shapes do not go together.

    Args:
        owner: who takes them, for the message.
        **arrays: name -> tensor or array (None: not given, passed over), and its axes, such as
            ``'B K H W'``; an axis is a whole number, or a name that means one length in all.

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
def refused(message: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn errors of another package into one line.

    Args:
        message: what was being done, with the file or argument; what the error says follows.
        *errors: which ones; all where none is given. An :class:`InputError` passes unchanged.

    Raises:
        InputError: one of the errors came.
    """
    try:
        yield
    except InputError:
        raise
    except errors or Exception as e:  # noqa: B030
        raise InputError(f'{message}: {said(e)}') from e


def numbers(value: Any, shape: tuple[int | None, ...]) -> np.ndarray | None:
    """Return ``value`` as finite float64 numbers of a shape (None: any length), or None."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    fits = (
        array.dtype.kind in 'biuf'
        and array.ndim == len(shape)
        and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    )
    return array.astype(np.float64) if fits and np.isfinite(array).all() else None
