"""Which options of ``score`` change nothing: with this metric, or with files that are no tables.

What is ignored in silence is believed to have been used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..core.errors import shown
from .score_tables import FileColumns

ANSWERS, TAGS, LABELS = "answers to questions", "tags", "labels"
SETS, NUMBERS = "several labels for each text", "numbers"
"""What a metric scores."""

APPLY: Mapping[str, Collection[str]] = {
    ANSWERS: ("--missing-is-wrong", "--id", "--prediction", "--label", "--group"),
    TAGS: ("--id", "--prediction", "--label", "--columns", "--labels"),
    LABELS: ("--missing-is-wrong", "--id", "--prediction", "--label", "--group", "--labels", "--alternatives"),
    SETS: (NAMED := ("--id", "--prediction", "--label", "--group")),
    NUMBERS: NAMED,
}

OF_PREDICTIONS, OF_GOLD, OF_BOTH = ("--prediction",), ("--label", "--group", "--alternatives"), ("--id",)
"""The options that name columns of a table: of what was predicted, of what is right, of either."""


def given_options(columns: FileColumns, *, labels: bool, missing_is_wrong: bool) -> list[str]:
    """Return the options that were given, as they are called on the command line."""
    given = {
        "--missing-is-wrong": missing_is_wrong,
        "--id": columns.id,
        "--prediction": columns.prediction,
        "--label": columns.label,
        "--columns": columns.words,
        "--labels": labels,
        "--alternatives": columns.alternatives,
        "--group": columns.group,
    }
    return [option for option, value in given.items() if value]


def describe_unused(given: Collection[str], scored: str, metric: str, tables: tuple[bool, bool]) -> list[str]:
    """Say of each option that was given in vain that it changed nothing.

    Args:
        given: The options.
        scored: :data:`ANSWERS`, :data:`TAGS`, :data:`LABELS`, :data:`SETS` or :data:`NUMBERS`.
        metric: By which they are scored.
        tables: Whether what was predicted, and what is right, is a table.
    """
    notes = []
    for option in given:
        if option not in APPLY[scored]:
            notes.append(f"{option} changes nothing: {shown(metric)} scores {scored}, to which it does not apply")
        elif (
            (option in OF_PREDICTIONS and not tables[0])
            or (option in OF_GOLD and not tables[1])
            or (option in OF_BOTH and not (all(tables) if scored == TAGS else any(tables)))
        ):
            notes.append(f"{option} changes nothing: it names a column of a table, and the file is none")
    return notes
