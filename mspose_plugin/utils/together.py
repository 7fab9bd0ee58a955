"""All processes of a distributed run stop when one of them has to."""

from __future__ import annotations

from mmengine.dist import all_gather_object

from mspose_plugin.utils.checks import check
from mspose_plugin.utils.errors import InputError


def raise_together(fault: str | None) -> None:
    """Raise the first fault of any process in all of them.

    One process that raises alone leaves the others waiting for it. All have to call this at the
    same place.

    Args:
        fault: what is wrong in this process, as the message; None for nothing.

    Raises:
        InputError: some process has a fault.
    """
    fault = next(filter(None, all_gather_object(fault)), None)
    if fault:
        raise InputError(fault)


def check_same(name: str, value: object, remedy: str) -> None:
    """Refuse a value that is not the same in all processes, which would wait for each other.

    Args:
        name: of the value.
        value: what this process has.
        remedy: what to do where another one has something else.

    Raises:
        InputError: the values differ, in all processes.
    """
    first, *others = all_gather_object(value)
    other = next((v for v in others if v != first), first)
    check(other == first, f'{name} is {first} in one process, {other} in another; {remedy}')
