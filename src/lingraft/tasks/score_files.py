"""Scores of anybody's predictions, from two files: what was predicted, and what is right.

What the files look like depends on the metric: answers to questions (``squad``, ``mlqa:hi``) are a JSON object
of question ids against gold in the JSON of SQuAD v1.1, as for the official scripts; tags (``span_f1``,
``tag_accuracy``) are two files of words with their tags; labels (``accuracy``, ``macro_f1``) are an object
``{"id": "label"}`` or a table with a row for each id (or, where neither table has ids, for each row of the other).
What ``lingraft predict`` writes is read as it is. Nothing is left out in silence: what is in one file only
is an error, unless the caller wants it counted as wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError, DataError
from ..data.squad import read_squad
from ..results.metrics import Metric, accuracy, macro_f1
from ..results.metrics.answers import NORMALISERS, SQUAD_V2, answer_metrics
from ..results.metrics.spans import check_tag, span_f1, tag_accuracy
from ..results.resampling import resample
from ..results.statistics import interval
from .score_labels import match_labels
from .score_tables import PREDICTED, RIGHT, FileColumns, Wanted, check_ids, read_values, same_ids
from .score_tags import ANY, read_tags

__all__ = ["FileColumns", "FileScore", "ScoreReport", "score_files"]

TAG_METRICS: Mapping[str, Metric] = {"span_f1": span_f1, "tag_accuracy": tag_accuracy}
LABEL_METRICS = ("accuracy", "macro_f1")


@dataclass(frozen=True, slots=True)
class FileScore:
    """One number; ``low`` and ``high`` bound its 95 % bootstrap interval."""

    metric: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """What came out, over ``examples`` questions, sentences or labels, drawn in ``groups`` for the intervals.

    ``missing`` of the examples had no prediction and were counted as wrong. ``read_as`` are the labels that the gold
    file writes in another way, and how; ``never_right`` those that it does not have at all.
    """

    metric: str
    scores: tuple[FileScore, ...]
    examples: int
    groups: int
    missing: int = 0
    read_as: tuple[tuple[str, str], ...] = ()
    never_right: tuple[str, ...] = ()


def score_files(
    predictions: Path,
    gold: Path,
    metric: str,
    *,
    missing_is_wrong: bool = False,
    columns: FileColumns = FileColumns(),  # noqa: B008 (frozen)
) -> ScoreReport:
    """Score one file by another.

    Args:
        predictions: What was predicted; ``.gz`` may follow the suffix of either file.
        gold: What is right.
        metric: ``squad``, ``squad_v2`` (where questions may have no answer) or ``mlqa:LANGUAGE`` (of the context, see
            :func:`lingraft.results.metrics.answers.answer_metrics`), which give F1 and exact match; ``span_f1``,
            ``tag_accuracy``, ``accuracy``, or ``macro_f1`` over the labels that occur in either file.
        missing_is_wrong: Count questions and labels without a prediction as wrong, as the official scripts for
            question answering do, instead of refusing the file.
        columns: Those of tables and of files of words that do not have the usual ones.

    Raises:
        ConfigError: The metric is unknown.
        DataError: A file is not in the shape that the metric needs, or the two do not belong together.
    """
    if metric in TAG_METRICS:
        return _score_tags(predictions, gold, metric, columns)
    if metric in LABEL_METRICS:
        return _score_labels(predictions, gold, metric, columns, missing_is_wrong)
    if metric.partition(":")[0].strip().lower() not in {SQUAD_V2, *(name.partition(":")[0] for name in NORMALISERS)}:
        known = ", ".join([*NORMALISERS, SQUAD_V2, *TAG_METRICS, *LABEL_METRICS])
        raise ConfigError([f"unknown metric {metric!r}; known: {known}"], where="metric")
    return _score_answers(predictions, gold, metric, columns, missing_is_wrong)


# ---- Answers ---------------------------------------------------------------------------------------


def _score_answers(
    predictions: Path, gold: Path, metric: str, columns: FileColumns, missing_is_wrong: bool
) -> ScoreReport:
    """Score questions; those on one paragraph are drawn together."""
    metrics, with_none = answer_metrics(metric), metric.strip().lower() == SQUAD_V2
    asked = read_squad(gold, language=ANY, keep_unanswerable=with_none)
    if asked.unanswerable and not with_none:
        raise DataError(
            f"{gold}: {asked.unanswerable} of {asked.unanswerable + len(asked.examples)} questions have no answer, as "
            f"in SQuAD v2; the scores of v1.1 and MLQA say nothing about those, so score by {SQUAD_V2}, or give a file "
            "without them"
        )
    named = (columns.prediction,) if columns.prediction else PREDICTED
    given = read_values(predictions, Wanted("answer", named, columns.id or "id", "--prediction", only_text=True))
    ids = [example.id for example in asked.examples]
    missing = check_ids(ids, given, predictions, gold, missing_is_wrong=missing_is_wrong, empty=True)
    groups = [example.group for example in asked.examples]
    rows = [(example.gold, given.get(example.id)) for example in asked.examples]
    # What has no answer is wrong also where an empty one would be right.
    tables = {
        name: np.array([(0.0, 1.0) if answer is None else one.counts(right, answer) for right, answer in rows])
        for name, one in metrics.items()
    }
    return ScoreReport(metric, _scores(metrics, tables, groups), len(rows), len(set(groups)), missing)


def _scores(
    metrics: Mapping[str, Metric], tables: Mapping[str, NDArray[np.float64]], groups: Sequence[str] | int
) -> tuple[FileScore, ...]:
    """Score counts ``[N, K]`` of the same examples by each metric; ``groups`` are drawn once for all."""
    drawn = resample(groups)
    return tuple(
        FileScore(
            name,
            one.of_table(tables[name]),
            *interval(drawn.metric(one.of_sums, tables[name][None])),
        )
        for name, one in metrics.items()
    )


# ---- Tags ------------------------------------------------------------------------------------------


def _score_tags(predictions: Path, gold: Path, metric: str, columns: FileColumns) -> ScoreReport:
    right, guessed = read_tags(predictions, gold, check_tag if metric == "span_f1" else None, columns.words)
    chosen = TAG_METRICS[metric]
    table = chosen.table([one.gold for one in right], [str(other.gold) for other in guessed])
    return ScoreReport(metric, _scores({metric: chosen}, {metric: table}, len(right)), len(right), len(right))


# ---- Labels ----------------------------------------------------------------------------------------


def _score_labels(
    predictions: Path, gold: Path, metric: str, columns: FileColumns, missing_is_wrong: bool
) -> ScoreReport:
    key = same_ids(predictions, gold, columns.id)
    right = read_values(gold, Wanted("label", (columns.label,) if columns.label else RIGHT, key))
    named = (columns.prediction,) if columns.prediction else PREDICTED
    given = read_values(predictions, Wanted("label", named, key, "--prediction", may_be_empty=True))
    missing = check_ids(right, given, predictions, gold, missing_is_wrong=missing_is_wrong)
    labels = set(right.values())
    meant = match_labels({label for label in given.values() if label}, labels, f"{predictions} and {gold}")
    truth, guessed = list(right.values()), [meant.get(given.get(key, ""), "") for key in right]
    # "No prediction" is not a label that macro-F1 should average over.
    chosen = accuracy if metric == "accuracy" else macro_f1(sorted({*labels, *meant.values()}), only_seen=True)
    scores = _scores({metric: chosen}, {metric: chosen.table(truth, guessed)}, len(truth))
    changed = tuple((written, label) for written, label in sorted(meant.items()) if written != label)
    never = tuple(sorted(set(meant.values()) - labels))
    return ScoreReport(metric, scores, len(truth), len(truth), missing, changed, never)
