"""Tables and progress bars; what is piped is neither cut nor wrapped, and has no bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

T = TypeVar('T')
WIDTH = 1000  # of what is printed: a terminal wraps lines by itself


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; all columns but the first are aligned on the right.

    Args:
        header: names of the columns.
        rows: cells, one for each column.
    """
    table = Table(box=None, header_style='bold', pad_edge=False, padding=(0, 2, 0, 0))
    for i, name in enumerate(header):
        table.add_column(name, justify='right' if i else 'left')
    for row in rows:
        table.add_row(*row)
    Console(width=WIDTH, markup=False, highlight=False, emoji=False).print(table)


def track(
    items: Iterable[T], what: str, total: int, size: Callable[[T], int] = lambda item: 1
) -> Iterator[T]:
    """Pass items on; on a terminal, show a bar with the number done and the time remaining.

    Args:
        items: any.
        what: is counted, e.g. ``'images'``.
        total: sum of the items' sizes.
        size: how much an item counts. Defaults to 1 each.
    """
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        for item in items:
            yield item
            bar.advance(task, size(item))
