"""Columns that a table lacks: said of the line that names the columns, where there is one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

LONGEST_NAME = 60
"""Of a column, in characters; what is longer is likely a text, in a table that begins with its first row."""


class HeadedRow(dict[str, Any]):
    """A row of a table whose columns are named once, by a header."""

    __slots__ = ("header_line",)

    def __init__(self, cells: Mapping[str, Any], header_line: int) -> None:
        super().__init__(cells)
        self.header_line = header_line
        """Number of the line that the header is on."""


def describe_missing(row: Mapping[str, Any], column: str, where: str, purpose: str = "") -> str:
    """Say that a row has no such column; the nearest one is offered and all are listed.

    Args:
        row: Column to value.
        column: What it lacks.
        where: File and line of the row.
        purpose: What the column is for: ``(for `text`)``.
    """
    known = [str(key) for key in row]
    nearest = difflib.get_close_matches(column, known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    said = f"there is no column {column!r}{purpose and ' '}{purpose}"
    unnamed = isinstance(row, HeadedRow) and max(map(len, known), default=0) > LONGEST_NAME
    header = "; that looks like a row: put a line with the names of the columns before it" * unnamed
    return f"{place_of_columns(row, where)}: {said}; {hint}its columns are {', '.join(known) or 'none'}{header}"


def place_of_columns(row: Mapping[str, Any], where: str) -> str:
    """Return the place that says which columns a row has: the header's, where there is one.

    Args:
        row: Column to value.
        where: File and line of the row.
    """
    table = where.rpartition(", line ")[0]
    return f"{table}, line {row.header_line}" if table and isinstance(row, HeadedRow) else where
