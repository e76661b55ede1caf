"""What cells of tables hold: plain values, whatever library they are from; and how they are written as labels.

A spreadsheet has dates and errors in its cells, pandas turns whole numbers into fractions where one of them is missing,
and each library has its own mark for what is missing. Every reader of a table says so in the same plain terms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Real
from typing import Any

from ..core.errors import DataError

EXACT = 2**53
"""Whole numbers from here on are no longer told apart as fractions."""

LONGEST = 10**4000
"""Whole numbers from here on are not written out; Python itself refuses to from 4,300 digits on."""


class ClassNumber(int):
    """The number of a class, which has a name: what stands for a class in data sets of the Hub."""

    name: str

    def __new__(cls, number: int, name: str) -> ClassNumber:
        """Give a number its name."""
        found = super().__new__(cls, number)
        found.name = name
        return found

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]
        """Copy the name with the number."""
        return int(self), self.name


PLAIN = frozenset({str, int, bool, type(None), ClassNumber})
"""Types of most cells, which are what they are."""


@dataclass(frozen=True)
class Unreadable:
    """In the place of a value that is none: a date in the year 10,000, which Python has not, an error of a formula."""

    reason: str
    shown: str | None = None
    """What there is to see in its place."""


def plain(value: Any) -> Any:
    """Return a cell as plain data: what is missing as None, arrays as lists, all that is in it likewise."""
    if isinstance(value, int) and not -LONGEST < value < LONGEST:
        return Unreadable("a whole number of more than 4,000 digits")
    if type(value) in PLAIN:
        return value
    if hasattr(value, "tolist"):  # of numpy
        return plain(value.tolist())
    if hasattr(value, "as_py"):  # of Arrow
        return plain(value.as_py())
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if is_missing(value) else value


def is_missing(value: object) -> bool:
    """Return whether a cell has nothing in it, whatever a library has in its place: None, NaN, NaT, NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real | Decimal) and bool(value != value)


def holds_one(value: object) -> bool:
    """Return whether a cell holds one value that can be written, rather than several, or bytes."""
    return not isinstance(value, bytes | bytearray | list | tuple | set | Mapping)


def written(value: Any) -> str:
    """Return a value as people write it: a class by its name, 1.0 as ``1``, a day as ``2024-01-31``."""
    if isinstance(value, ClassNumber):
        return value.name
    if isinstance(value, Unreadable):
        return value.shown or ""
    if isinstance(value, datetime) and value.time() == time() and value.tzinfo is None:
        return value.date().isoformat()
    if is_missing(value):
        return ""
    whole = isinstance(value, float | Decimal) and -EXACT < value < EXACT and value == int(value)
    return str(int(value) if whole else value)


def as_written(value: Any) -> Any:
    """Return a cell that another file can hold: dates, and what is in the place of a value, as they are shown."""
    if isinstance(value, Unreadable):
        return value.shown
    return written(value) if isinstance(value, date | time | timedelta) else value


def described(value: object) -> str:
    """Return what a value is and the value, for messages: ``the text 'four'``."""
    if isinstance(value, date | time):
        return f"the {'time' if isinstance(value, time) else 'date'} {written(value)}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    names = {str: "the text", int: "the number", float: "the number", list: "the list", dict: "the object"}
    return f"{names.get(type(value), type(value).__name__)} {value!r}"


def refuse_twice(columns: Iterable[Any], where: str) -> None:
    """Refuse a table that names a column twice, of which one would be lost.

    Args:
        columns: Their names; empty ones are none.
        where: The header, for messages.

    Raises:
        DataError: It does.
    """
    twice = next((name for name, count in Counter(map(str, columns)).items() if name and count > 1), None)
    if twice is not None:
        raise DataError(f"{where} names column {twice!r} twice; rename one")
