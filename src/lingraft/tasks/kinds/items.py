"""What ``predict`` is given: checks that all kinds of task share, with messages that say which item is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.errors import DataError


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of an item beside itself."""

    id: str
    language: str
    where: str
    """How messages call it: ``text 2 of 5``."""
    task: str
    paired: bool = False
    """Whether the task has two texts."""

    @property
    def identity(self) -> dict[str, Any]:
        """What every example has; each item is a group of its own."""
        return {"id": self.id, "group": self.id, "language": self.language}

    def refused(self, takes: str, item: object) -> DataError:
        """Return the error for an item of another shape."""
        return DataError(f"{self.where}: {self.task} takes {takes}, got {str(item)[:60]!r}")


def read_columns(
    item: Any, needed: Sequence[str], asked: Asked, *, optional: Sequence[str] = (), lists: Sequence[str] = ()
) -> dict[str, Any]:
    """Read the values of an item that is more than a text.

    Args:
        item: What was given.
        needed: Columns that must hold a text.
        asked: What is known of it beside.
        optional: Columns that may hold one.
        lists: Those of ``needed`` that hold two or more texts instead; they come as tuples.

    Raises:
        DataError: The item is no mapping, or a column is not what it should be.
    """
    takes = f"objects with {' and '.join(needed)}"
    if not isinstance(item, Mapping):
        raise asked.refused(takes, item)
    expected = f"{asked.where}: {asked.task} takes {takes}"
    values = {key: item[key] for key in (*needed, *optional) if item.get(key) is not None}
    for key in needed:
        if key in lists:
            if not are_texts(values.get(key)) or len(values[key]) < 2:
                raise DataError(f"{expected}, a list of two or more texts; got {str(item.get(key))[:60]!r}")
            values[key] = tuple(values[key])
        elif not is_text(values.get(key)):
            raise DataError(f"{expected}; {key} is {str(item.get(key))[:60]!r}, expected a text")
    for key in optional:
        if not isinstance(values.get(key, ""), str):
            raise DataError(f"{expected}; {key} is {str(values[key])[:60]!r}, expected a text")
    return values


def is_text(value: object) -> bool:
    """Return whether a value is a text with something in it."""
    return isinstance(value, str) and bool(value.strip())


def are_texts(value: object) -> bool:
    """Return whether a value is a list of texts, at least one."""
    return isinstance(value, list | tuple) and bool(value) and all(map(is_text, value))
