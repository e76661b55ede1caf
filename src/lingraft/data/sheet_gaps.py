"""Why cells of a spreadsheet are empty: their formula was never computed, or they are merged into another cell.

The values of a sheet come without either; its XML is read once more where a row has an empty cell.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, iterparse

NAMESPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"

MOST = 1_000_000
"""Merged ranges and formulas that are known, at most; an empty cell beyond is empty."""


class Merged(NamedTuple):
    """What a column has of a merged range."""

    first: int
    last: int
    range: str


@dataclass(frozen=True)
class Gaps:
    """The cells of a sheet that are empty for a reason."""

    formulas: set[tuple[int, int]] = field(default_factory=set)
    """Row and column of those without a saved value."""
    merged: dict[int, list[Merged]] = field(default_factory=lambda: defaultdict(list))
    """By column, from the top down."""

    @cached_property
    def rows(self) -> set[int]:
        """Rows that have a formula without a value."""
        return {row for row, _ in self.formulas}

    def reason(self, row: int, column: int) -> str | None:
        """Return what an empty cell is, and what to do about it; None where it is just empty."""
        from openpyxl.utils import get_column_letter

        name = f"cell {get_column_letter(column)}{row}"
        if (row, column) in self.formulas:
            return f"{name}: a formula whose value was never saved; open and save the file in a spreadsheet program"
        ranges = self.merged.get(column, [])
        place = bisect_right(ranges, row, key=lambda one: one.first) - 1
        if place < 0 or row > ranges[place].last:
            return None
        return f"{name}: merged into {ranges[place].range}, whose first cell alone has the value; split and fill them"


def gaps_of(sheet: Any, columns: int) -> Gaps:
    """Return which cells of a sheet are empty for a reason.

    Args:
        sheet: A sheet of openpyxl that is read row by row.
        columns: How many of them matter.
    """
    from openpyxl.utils.cell import coordinate_to_tuple, range_boundaries

    found, known = Gaps(), 0
    with sheet.parent._archive.open(sheet._worksheet_path) as stream:
        for _, element in iterparse(stream):
            tag = element.tag.removeprefix(NAMESPACE)
            if tag == "c" and _is_uncomputed(element) and len(found.formulas) < MOST:
                found.formulas.add(coordinate_to_tuple(element.get("r", "A1")))
            elif tag == "mergeCell":
                left, top, right, bottom = range_boundaries(element.get("ref", "A1"))
                for column in range(left, min(right, columns) + 1) if known < MOST else ():
                    known += 1
                    found.merged[column].append(Merged(top, bottom, element.get("ref", "")))
            if tag in ("row", "mergeCell"):
                element.clear()
    for ranges in found.merged.values():
        ranges.sort()
    return found


def _is_uncomputed(cell: Element) -> bool:
    """Return whether a cell has a formula but no value; the value of a text formula may be an empty text."""
    formula, value = cell.find(f"{NAMESPACE}f"), cell.findtext(f"{NAMESPACE}v")
    return formula is not None and not value and cell.get("t") != "str"
