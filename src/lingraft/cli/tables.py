"""Tables that fit the terminal: what matters least is left out, and said to be, before a cell would break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from ..core.terminal_text import as_text
from .terminal import console as terminal


@dataclass(frozen=True)
class Column:
    """A heading, and how early the column is left out: the highest first, 0 never."""

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
        console: Where to; its width is kept to, which is that of the terminal, or ``COLUMNS``.
    """
    filled = [i for i in range(len(columns)) if any(row[i] for row in rows)] or list(range(len(columns)))
    shown, unbounded = list(filled), console.options.update(max_width=10_000)
    while True:
        table = _table(title, [columns[i] for i in shown], [[row[i] for i in shown] for row in rows])
        last = max(shown, key=lambda i: (columns[i].dispensable, i))
        if console.measure(table, options=unbounded).maximum <= console.width or not columns[last].dispensable:
            break
        shown.remove(last)
    console.print(table)
    if left_out := [columns[i].heading.replace("\n", " ") for i in filled if i not in shown]:
        console.print(
            f"no room for {', '.join(dict.fromkeys(left_out))}; a wider terminal, or COLUMNS=120, shows more",
            style="dim",
        )


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
