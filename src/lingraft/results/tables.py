"""Tables of a page, apart from how they are written: as Markdown, as LaTeX, as CSV, in HTML.

A cell is what people read, and the numbers behind it: these go into CSV as they are, and the first of them is what a
page sorts by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, and what the values of its cells are called in CSV; ``code`` are names, as a recipe has them."""

    heading: str
    keys: tuple[str, ...]
    kind: Literal["code", "text", "number"] = "number"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, with a value for each key of its column; an empty one for what is not known."""

    text: str = ""
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    """What the rows have in common, in words."""
    common: Mapping[str, Value] = field(default_factory=dict)
    """The same as values, each with its key."""

    @property
    def texts(self) -> list[list[str]]:
        """The cells as people read them."""
        return [[cell.text for cell in row] for row in self.rows]


def name_cell(name: object) -> Cell:
    """Return the cell of a name."""
    return Cell(str(name), (str(name),))
