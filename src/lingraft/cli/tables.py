"""Tables that fit the terminal: what matters least is left out, and said to be, before a cell would break."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from ..core.terminal_text import UNBOUNDED, as_text
from .terminal import console as terminal


@dataclass(frozen=True)
class Column:
    """A heading, and how early the column is left out: the highest first, 0 never.

    Columns of one heading belong to the column before them that has a heading of its own.
    """

    heading: str
    dispensable: int = 0
    justify: str = "right"


def print_table(
    title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], console: Console = terminal
) -> None:
    """Print rows under their headings, without the columns that there is no room for.

    Args:
        title: Above it; empty for none.
        columns: Headings.
        rows: A text for each column.
        console: Where to; its width is kept to, which is that of the terminal, or ``COLUMNS``; a file has none.
    """
    filled = [i for i in range(len(columns)) if any(row[i] for row in rows)] or list(range(len(columns)))
    shown, unbounded, needed = list(filled), console.options.update(max_width=UNBOUNDED), 0
    while True:
        table = _table(title, [columns[i] for i in shown], [[row[i] for i in shown] for row in rows])
        last = max(shown, key=lambda i: (columns[i].dispensable, i))
        width = console.measure(table, options=unbounded).maximum
        needed = max(needed, width)
        if width <= console.width or not columns[last].dispensable:
            break
        shown.remove(last)
    console.print(table)
    if left_out := [_name(columns, i) for i in filled if i not in shown]:
        console.print(
            f"left out for want of room: {', '.join(left_out)}; a wider terminal, a file, or COLUMNS={needed} shows "
            "all",
            style="dim",
        )


def _name(columns: Sequence[Column], place: int) -> str:
    """Return what a column is called where it is not beside the others: ``95 % of lingraft``."""
    headings = [re.sub(r"-?\n", lambda end: "" if end[0] == "-\n" else " ", column.heading) for column in columns]
    name = headings[place]
    owners = [heading for heading in headings[:place] if headings.count(heading) == 1]
    return f"{name} of {owners[-1]}" if headings.count(name) > 1 and owners else name


def _table(title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(
        title=as_text(title) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
        collapse_padding=True,
    )
    for column in columns:
        table.add_column(
            as_text(column.heading), justify="left" if column.justify == "left" else "right", overflow="fold"
        )
    for row in rows:
        table.add_row(*map(as_text, row))
    return table
