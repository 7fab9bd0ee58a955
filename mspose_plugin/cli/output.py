"""Tables and progress bars; what is piped is neither cut nor wrapped, and has no bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

T = TypeVar('T')
WIDTH = 1000  # of what is printed: a terminal wraps lines by itself


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> None:
    """Print a table.

    Args:
        header: names of the columns.
        rows: cells, one for each column.
        words: number of columns, from the first, that are aligned on the left; the rest, numbers,
            on the right. Defaults to 1.
    """
    table = Table(box=None, header_style='bold', pad_edge=False, padding=(0, 2, 0, 0))
    for i, name in enumerate(header):
        table.add_column(name, justify='left' if i < words else 'right')
    for row in rows:
        table.add_row(*row)
    Console(width=WIDTH, markup=False, highlight=False, emoji=False).print(table)


def as_markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown.

    Args:
        header: names of the columns.
        rows: cells, one for each column.
    """
    lines = [header, ['---'] * len(header), *rows]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def track(
    items: Iterable[T], what: str, total: int | None, size: Callable[[T], int] = lambda item: 1
) -> Iterator[T]:
    """Pass items on; on a terminal, show a bar with the number done and the time remaining.

    Args:
        items: any.
        what: is counted, e.g. ``'images'``.
        total: sum of the items' sizes, None where it is not known before.
        size: how much an item counts. Defaults to 1 each.
    """
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        for item in items:
            yield item
            bar.advance(task, size(item))
