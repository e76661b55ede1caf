"""Predictions as people read them: what was right, what was said, and what the frozen head said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...core.files import Row
from .. import findings
from ..run_files import RunFiles, is_right

NOTHING = "(none)"
"""In the place of an answer that there is none, or no label."""


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What a saved model got wrong of the texts of one language that were tested."""

    name: str
    n: int
    """Texts that were tested."""
    wrong: int
    rows: tuple[Row, ...]
    """The surest first; of numbers, which nobody is sure of, those that are furthest off."""


def mistakes_of(run: RunFiles, most: int) -> list[Mistakes]:
    """Return the mistakes of the saved trial, of each language that was tested.

    Args:
        run: A finished run.
        most: Of each language.

    Raises:
        RunError: A file of predictions is damaged.
    """
    found = []
    for language in run.languages:
        if rows := run.predictions(run.selected_trial, language):
            wrong = sum(not is_right(row) for row in rows)
            shown = tuple(map(readable, findings.mistakes(rows, most)))
            found.append(Mistakes(run.name(language), len(rows), wrong, shown))
    return found


def readable(row: Row) -> Row:
    """Return a prediction for people: all right answers, alternatives in words, and in words that there is none."""
    among = row.get("alternatives")

    def in_words(value: Any) -> Any:
        if isinstance(value, list):
            return " / ".join(one or NOTHING for one in dict.fromkeys(value))
        if value == "":
            return NOTHING
        return among[int(value)] if among and value is not None else value

    shown = {column: in_words(row.get(column)) for column in ("gold", "value", "before")}
    return (
        {"text": "", "text_b": None, "confidence": None}
        | row
        | shown
        | {"before_right": row.get("before") is not None and is_right(row, "before")}
    )
