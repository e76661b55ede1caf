"""What is no single label, scored by the metrics of its kind of task: numbers, and several labels for each text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from ..core.errors import DataError, shown
from ..data.labels import strip_label
from ..results.metrics import Metric
from ..results.metrics.numbers import metrics_of_numbers
from .kinds.multilabel import BETWEEN, join_labels, label_macro_f1, micro_f1, split_labels
from .kinds.regression import LARGEST
from .score_labels import match_labels

KINDS: Mapping[str, str] = {"multilabel": "labels", "regression": "number"}
"""Kinds of task whose metrics score two files, and what is right of an example."""


def metrics_of_kind(kind: str, labels: Collection[str]) -> Mapping[str, Metric]:
    """Return the metrics of one of :data:`KINDS`.

    Args:
        kind: Which.
        labels: All that occur, of several labels for each text.
    """
    if kind == "multilabel":
        return {"micro_f1": micro_f1, "macro_f1": label_macro_f1(sorted(labels))}
    return metrics_of_numbers(tolerance=0.0)


def check_numbers(values: Mapping[str, str], path: Path) -> None:
    """Refuse what is no number, or one that a run would not take either.

    Args:
        values: By id.
        path: Where they are from.

    Raises:
        DataError: There is such.
    """
    for name, value in values.items():
        try:
            usable = "_" not in value and abs(float(value)) <= LARGEST
        except ValueError:
            usable = False
        if not usable:
            raise DataError(
                f"{path}: the number of {name!r} is {shown(value)}; expected one below 1e15, written as 3.5 or -2"
            )


def match_sets(
    right: Mapping[str, str], given: Mapping[str, str], where: str
) -> tuple[dict[str, str], dict[str, str], Mapping[str, str]]:
    """Return labels that are right and that were given, in one order, and which right label each given one is.

    Args:
        right: Labels by id, with ``|`` between.
        given: Those that were predicted.
        where: The files, for messages.

    Raises:
        DataError: No given label is one of the right ones, or several may be meant.
    """
    truth, guessed = (
        {name: [strip_label(one) for one in split_labels(value)] for name, value in side.items()}
        for side in (right, given)
    )
    known, said = ({one for labels in side.values() for one in labels} for side in (truth, guessed))
    meant = match_labels(said, known, f"{where} (with {BETWEEN} between the labels of a text)")
    return (
        {name: join_labels(tuple(set(labels))) for name, labels in truth.items()},
        {name: join_labels(tuple({meant[one] for one in labels})) for name, labels in guessed.items()},
        meant,
    )
