"""The report's parts on the predictions of the saved trial: all that fit on a page, confusions, confidences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from ...core.files import Row
from ...core.terminal_text import printable
from .. import charts, findings, wording
from ..metrics.calibration import expected_calibration_error
from ..run_files import RunFiles, is_right
from .mistakes import readable
from .templating import Context

MOST, MOST_OF_ALL = 2_000, 6_000
"""Predictions of a language that a page holds, and of all languages together: a page of a few megabytes."""

LONGEST = 300
"""Characters of a text that a page holds."""


def predictions_of(run: RunFiles, *, most: int = MOST, most_of_all: int = MOST_OF_ALL) -> list[Context]:
    """Return predictions, confusions and calibration of the saved trial, language by language.

    Args:
        run: A finished run.
        most: Predictions of a language that are kept.
        most_of_all: And of all languages together.

    Raises:
        RunError: A file of predictions is damaged.
    """
    found = {language: run.predictions(run.selected_trial, language) for language in run.languages}
    tested = {language: rows for language, rows in found.items() if rows}
    most = min(most, most_of_all // max(len(tested), 1))
    return [_of_language(run, run.name(language), rows, most) for language, rows in tested.items()]


def _of_language(run: RunFiles, name: str, rows: Sequence[Row], most: int) -> Context:
    labels = findings.labels_of(rows, run.data["classes"]) if findings.has_classes(run.data) else []
    counts = findings.confusion(rows, labels) if labels else []
    baseline = findings.confusion(rows, labels, "before") if labels and rows[0].get("before") is not None else None
    before, after = (findings.reliability(rows, when) for when in ("before", "after"))
    shown = findings.most_confused(counts, MOST_CLASSES)
    kept = [readable(row) for row in _kept(rows, most)]
    return {
        "name": name,
        "n": len(rows),
        "wrong": sum(not is_right(row) for row in rows),
        "kept": kept,
        "mistakes": [row for row in kept[:MISTAKES] if not is_right(row)],
        "labels": labels,
        "confusion": Markup(charts.confusion_matrix(counts, labels, shown)) if labels else None,
        "confusion_before": Markup(charts.confusion_matrix(baseline, labels, shown)) if baseline else None,
        "drawn": len(shown),
        "confused": _most_confused(labels, counts),
        "reliability": Markup(charts.reliability_diagram(before, after)),
        "confidence": wording.describe_confidence(after) or "No confidences to compare",
        "ece_before": expected_calibration_error(before),
        "ece_after": expected_calibration_error(after),
    }


MOST_CLASSES = 40
"""That a confusion matrix has; names of more could not be read."""

MISTAKES = 12
"""Of a language, that are shown where no script runs."""


def _kept(rows: Sequence[Row], most: int) -> list[Row]:
    """Return the mistakes, the surest first, then right answers, the least sure first, as many as fit."""

    def sureness(row: Row) -> tuple[float, str]:
        return float(row.get("confidence") or 0), str(row["id"])

    wrong = findings.mistakes(rows, most)
    return wrong + sorted(filter(is_right, rows), key=sureness)[: most - len(wrong)]


def describe_kept(part: Context) -> str:
    """Say what a page leaves out of the predictions in a language; empty where nothing."""
    kept, n, wrong = len(part["kept"]), part["n"], part["wrong"]
    if kept == n:
        return ""
    sure = part["ece_after"] is not None
    which = f"the {wording.count(kept)} {'surest' if sure else 'largest'} of {wording.count(wrong)} mistakes"
    if wrong <= kept:
        which = f"all {wording.count(wrong)} mistakes and {'the least sure' if sure else 'some'} of the right answers"
    return f"Of the {wording.count(n)} predictions for {part['name']} this page holds {wording.count(kept)}: {which}."


SURE, RIGHT = 4, 6  # columns of a line


def searched(parts: Sequence[Context]) -> Context:
    """Return what the page's script filters: names of languages, and a line of eight columns for each prediction.

    The columns are number of the language, texts, gold, predicted, confidence, frozen head, and whether the
    prediction and the frozen head are right.
    """
    lines = [
        [
            number,
            [_short(row[column]) for column in ("text", "text_b") if row[column]],
            *(_short(row[column]) for column in ("gold", "value")),
            row["confidence"],
            _short(row["before"]),
            is_right(row),
            row["before_right"],
        ]
        for number, part in enumerate(parts)
        for row in part["kept"]
    ]
    lines.sort(key=lambda line: (line[RIGHT], (line[SURE] or 0) * (1 if line[RIGHT] else -1)))
    return {"languages": [part["name"] for part in parts], "lines": lines}


def classes_of(parts: Sequence[Context]) -> list[str]:
    """Return the classes that are in the lines of :func:`searched`, as they are there."""
    return list(dict.fromkeys(str(_short(label)) for part in parts for label in part["labels"]))


def _short(text: Any) -> str | None:
    """Return as much of a text as a page holds, printable."""
    if text is None:
        return None
    shown = printable(str(text))
    return shown if len(shown) <= LONGEST else printable(shown[: LONGEST - 1]) + "…"


def _most_confused(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    if not labels:
        return ""
    pairs = [
        (number, gold, predicted)
        for gold, line in zip(labels, counts, strict=True)
        for predicted, number in zip(labels, line, strict=True)
        if gold != predicted and number
    ]
    if not pairs:
        return "Nothing was confused"
    number, gold, predicted = max(pairs, key=lambda pair: pair[0])
    total = sum(counts[labels.index(gold)])
    return f"Most often confused: {printable(gold)} taken for {printable(predicted)}, {number} of {total}"
