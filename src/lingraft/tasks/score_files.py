"""Scores of anybody's predictions, from two files: what was predicted, and what is right.

What the files look like depends on the metric: answers to questions (``squad``, ``mlqa:hi``) are a JSON object
of question ids against gold in the JSON of SQuAD, as for the official scripts; tags (``span_f1``,
``tag_accuracy``) are two files of words with their tags; labels (``accuracy``, ``macro_f1``), numbers (``regression``)
and several labels for each text (``multilabel``) are an object ``{"id": "label"}``. Any of them may be a table with a
row for each id (or, where neither table has ids, for each row of the other). What ``lingraft predict`` writes, and what
a recipe's ``files`` name, is read as it is. Nothing is left out in silence: what is in one file only is an error,
unless the caller wants it counted as wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError, DataError, shown
from ..core.examples import PairExample, TaggedExample
from ..results.metrics import Metric, accuracy, macro_f1
from ..results.metrics.answers import NORMALISERS, SQUAD_V2, answer_metrics
from ..results.metrics.spans import check_tag, repair_tags, span_f1, tag_accuracy
from ..results.resampling import resample
from ..results.statistics import bounds
from ..results.units import unit_of
from .kinds.multilabel import BETWEEN
from .labelling import Labels, checked_names, labelling_of
from .score_ids import align_ids, check_ids
from .score_kinds import KINDS, check_numbers, match_sets, metrics_of_kind
from .score_labels import describe_spellings, match_labels
from .score_options import ANSWERS, LABELS, NUMBERS, SETS, TAGS, describe_unused, given_options
from .score_questions import read_questions
from .score_tables import (
    PREDICTED,
    RIGHT,
    FileColumns,
    Wanted,
    describe_other_texts,
    is_object,
    number_chosen,
    read_groups,
    read_values,
    same_ids,
)
from .score_tags import ANY, is_table_of_tags, read_tags
from .tag_schemes import BIO, PLAIN, find_scheme

__all__ = ["FileColumns", "FileScore", "ScoreReport", "score_files"]

TAG_METRICS: Mapping[str, Metric] = {"span_f1": span_f1, "tag_accuracy": tag_accuracy}
LABEL_METRICS = ("accuracy", "macro_f1")
METRICS = (*LABEL_METRICS, *KINDS, *TAG_METRICS, "squad", SQUAD_V2, "mlqa:LANGUAGE")
"""As people are told of them, the plainest first."""


@dataclass(frozen=True, slots=True)
class FileScore:
    """One number; ``low`` and ``high`` bound its 95 % bootstrap interval, which a single group does not give."""

    metric: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """What came out, over ``examples`` questions, sentences or labels, drawn in ``groups`` for the intervals.

    ``missing`` of the examples had no prediction and were counted as wrong. ``read_as`` are the labels that the gold
    file writes in another way, and how; ``never_right`` those that it does not have at all; ``notes`` say what else
    one should know of how labels were read.
    """

    metric: str
    scores: tuple[FileScore, ...]
    examples: int
    groups: int
    missing: int = 0
    read_as: tuple[tuple[str, str], ...] = ()
    never_right: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def score_files(
    predictions: Path,
    gold: Path,
    metric: str,
    *,
    missing_is_wrong: bool = False,
    columns: FileColumns = FileColumns(),  # noqa: B008 (frozen)
    labels: Labels = "as_written",
) -> ScoreReport:
    """Score one file by another.

    Args:
        predictions: What was predicted; ``.gz`` may follow the suffix of either file.
        gold: What is right.
        metric: ``squad``, ``squad_v2`` (where questions may have no answer) or ``mlqa:LANGUAGE`` (of the context, see
            :func:`lingraft.results.metrics.answers.answer_metrics`), which give F1 and exact match; ``span_f1``,
            ``tag_accuracy``, ``accuracy``, or ``macro_f1`` over the labels that occur in either file; ``multilabel``
            and ``regression``, which give all metrics of these kinds of task.
        missing_is_wrong: Count questions and labels without a prediction as wrong, as the official scripts for
            question answering do, instead of refusing the file.
        columns: Those of tables and of files of words that do not have the usual ones.
        labels: How labels and tags are read, as the recipe's setting of that name has it: ``normalise`` merges
            spellings, names are those of numbers from 0.

    Raises:
        ConfigError: The metric is unknown.
        DataError: A file is not in the shape that the metric needs, or the two do not belong together.
    """
    if isinstance(labels, list):
        labels = list(checked_names(labels, "names", "--labels"))
    given = given_options(columns, labels=labels != "as_written", missing_is_wrong=missing_is_wrong)
    if metric in TAG_METRICS:
        report, scored = _score_tags(predictions, gold, metric, columns, labels), TAGS
        tables = is_table_of_tags(predictions, columns), is_table_of_tags(gold, columns)
    else:
        report, scored = _score_by_ids(predictions, gold, metric, columns, missing_is_wrong, labels)
        tables = not is_object(predictions), not is_object(gold)
    return replace(report, notes=(*report.notes, *describe_unused(given, scored, metric, tables)))


def _score_by_ids(
    predictions: Path, gold: Path, metric: str, columns: FileColumns, missing_is_wrong: bool, labels: Labels
) -> tuple[ScoreReport, str]:
    """Score what has ids: labels, or answers; and return which of them."""
    if metric in LABEL_METRICS:
        return _score_labels(predictions, gold, metric, columns, missing_is_wrong, labels), LABELS
    if metric in KINDS:
        return _score_by_kind(predictions, gold, metric, columns), SETS if metric == "multilabel" else NUMBERS
    if metric.partition(":")[0].strip().lower() not in {SQUAD_V2, *(name.partition(":")[0] for name in NORMALISERS)}:
        raise ConfigError([_unknown_metric(metric)], where="--metric")
    return _score_answers(predictions, gold, metric, columns, missing_is_wrong), ANSWERS


def _unknown_metric(metric: str) -> str:
    """Say which metrics there are, and which is nearest to one that there is not."""
    listed = f"known are {', '.join(METRICS[:-1])} and {METRICS[-1]} (the language of the context)"
    if not metric:
        return f"is missing; {listed}"
    part_of = [kind for kind in KINDS if metric.lower() in metrics_of_kind(kind, ())]
    near = part_of or difflib.get_close_matches(metric.lower(), METRICS, 1, 0.5)
    return f"unknown metric {shown(metric)}; {f'did you mean {near[0]!r}? ' if near else ''}{listed}"


# ---- Answers ---------------------------------------------------------------------------------------


def _score_answers(
    predictions: Path, gold: Path, metric: str, columns: FileColumns, missing_is_wrong: bool
) -> ScoreReport:
    """Score questions; those on one paragraph are drawn together."""
    metrics, with_none = answer_metrics(metric), metric.strip().lower() == SQUAD_V2
    key = same_ids(predictions, gold, columns.id)
    asked = read_questions(gold, columns, key)
    unanswerable = sum(not one.answers for one in asked)
    if unanswerable and not with_none:
        raise DataError(
            f"{gold}: {unanswerable} of {len(asked)} questions have no answer, as in SQuAD v2; the scores of v1.1 and "
            f"MLQA say nothing about those, so score by {SQUAD_V2}, or give a file without them"
        )
    named = (columns.prediction,) if columns.prediction else PREDICTED
    given = read_values(predictions, Wanted("answer", named, key, "--prediction", only_text=True))
    given = align_ids(given, [one.id for one in asked], predictions)
    missing = check_ids(
        [one.id for one in asked], given, predictions, gold, missing_is_wrong=missing_is_wrong, empty=True
    )
    groups = [one.group for one in asked]
    rows = [(list(one.answers) or [""], given.get(one.id)) for one in asked]
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
        FileScore(name, one.of_table(tables[name]), *bounds(drawn, one.made, tables[name], unit_of(name).ends))
        for name, one in metrics.items()
    )


# ---- Tags ------------------------------------------------------------------------------------------


def _score_tags(predictions: Path, gold: Path, metric: str, columns: FileColumns, labels: Labels) -> ScoreReport:
    names = labels if isinstance(labels, list) else ()
    right, guessed = read_tags(predictions, gold, check_tag if metric == "span_f1" else None, columns, names)
    notes: list[str] = []
    if labels == "normalise":
        read = labelling_of(labels)(right, notes.append)
        right, guessed = (cast("list[TaggedExample]", read.relabel(one)) for one in (right, guessed))
    elif note := describe_spellings((tag for one in right for tag in one.labels), str(gold)):
        notes.append(note)
    if metric == "tag_accuracy":
        right, guessed = _in_one_scheme(right, guessed, notes)
    chosen = TAG_METRICS[metric]
    table = chosen.table([one.gold for one in right], [str(other.gold) for other in guessed])
    scores = _scores({metric: chosen}, {metric: table}, len(right))
    return ScoreReport(metric, scores, len(right), len(right), notes=tuple(notes))


def _in_one_scheme(
    right: list[TaggedExample], guessed: list[TaggedExample], notes: list[str]
) -> tuple[list[TaggedExample], list[TaggedExample]]:
    """Return the same spans in BIO, where the gold file marks them otherwise than what was predicted.

    A run learns and predicts in BIO whatever scheme its files are in.
    """
    schemes = [find_scheme(example.labels for example in examples) for examples in (right, guessed)]
    if schemes[0] in (BIO, PLAIN) or schemes[1] in (schemes[0], PLAIN):
        return right, guessed
    notes.append(f"the gold file is tagged in {schemes[0]} and the predictions in {schemes[1]}; both are read as BIO")
    in_bio = [[replace(one, tags=tuple(repair_tags(one.labels))) for one in examples] for examples in (right, guessed)]
    return in_bio[0], in_bio[1]


# ---- Labels ----------------------------------------------------------------------------------------


def _score_labels(
    predictions: Path, gold: Path, metric: str, columns: FileColumns, missing_is_wrong: bool, labels: Labels
) -> ScoreReport:
    key = same_ids(predictions, gold, columns.id)
    of_gold = (columns.label,) if columns.label else RIGHT
    right = read_values(gold, Wanted("label", of_gold, key, alternatives=columns.alternatives))
    named = (columns.prediction,) if columns.prediction else PREDICTED
    given = read_values(predictions, Wanted("label", named, key, "--prediction", may_be_empty=True))
    given = align_ids(given, right, predictions)
    missing = check_ids(right, given, predictions, gold, missing_is_wrong=missing_is_wrong)
    if columns.alternatives and not is_object(gold):
        given = number_chosen(given, gold, columns.alternatives, key, predictions)
    right, given, notes = _read_labels(right, given, labels, predictions, gold)
    notes += filter(None, [describe_other_texts(predictions, gold, key, columns)])
    known = set(right.values())
    meant = match_labels({label for label in given.values() if label}, known, f"{predictions} and {gold}")
    truth, guessed = list(right.values()), [meant.get(given.get(name, ""), "") for name in right]
    # "No prediction" is not a label that macro-F1 should average over.
    chosen = accuracy if metric == "accuracy" else macro_f1(sorted({*known, *meant.values()}), only_seen=True)
    groups = _groups(right, gold, columns, key)
    scores = _scores({metric: chosen}, {metric: chosen.table(truth, guessed)}, groups or len(truth))
    changed = tuple((written, label) for written, label in sorted(meant.items()) if written != label)
    never = tuple(sorted(set(meant.values()) - known))
    count = len(set(groups or right))
    return ScoreReport(metric, scores, len(truth), count, missing, changed, never, tuple(notes))


def _groups(right: Mapping[str, str], gold: Path, columns: FileColumns, key: str | None) -> list[str]:
    """Return what each example is drawn together by; nothing where each is its own."""
    drawn = read_groups(gold, columns.group, key) if columns.group else {}
    return [drawn[name] for name in right] if drawn else []


# ---- Numbers, and several labels for each text -----------------------------------------------------


def _score_by_kind(predictions: Path, gold: Path, kind: str, columns: FileColumns) -> ScoreReport:
    """Score by all metrics of a kind of task; what has no prediction is refused, for no number is the wrong one."""
    several, what, key = kind == "multilabel", KINDS[kind], same_ids(predictions, gold, columns.id)
    between = BETWEEN if several else ""
    read_as: Mapping[str, str] = {}
    of_gold = (columns.label,) if columns.label else (what, *RIGHT)
    right = read_values(gold, Wanted(what, of_gold, key, may_be_empty=several, between=between))
    named = (columns.prediction,) if columns.prediction else PREDICTED
    given = read_values(predictions, Wanted(what, named, key, "--prediction", may_be_empty=True, between=between))
    given = align_ids(given, right, predictions)
    check_ids(right, given, predictions, gold, missing_is_wrong=False, empty=several, cure="add them")
    if several:
        right, given, read_as = match_sets(right, given, f"{predictions} and {gold}")
    else:
        check_numbers(right, gold)
        check_numbers(given, predictions)
    known = {label for value in right.values() for label in value.split(BETWEEN) if several and label}
    metrics = metrics_of_kind(kind, {*known, *read_as.values()})
    truth, guessed = list(right.values()), [given[name] for name in right]
    tables = {name: metric.table(truth, guessed) for name, metric in metrics.items()}
    groups = _groups(right, gold, columns, key)
    changed = tuple((written, label) for written, label in sorted(read_as.items()) if written != label)
    notes = tuple(filter(None, [describe_other_texts(predictions, gold, key, columns)]))
    return ScoreReport(
        kind,
        _scores(metrics, tables, groups or len(truth)),
        len(truth),
        len(set(groups or right)),
        read_as=changed,
        never_right=tuple(sorted(set(read_as.values()) - known)),
        notes=notes,
    )


def _read_labels(
    right: Mapping[str, str], given: Mapping[str, str], labels: Labels, predictions: Path, gold: Path
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Return what is right and what was predicted by id, as a run with this setting reads it, and what to say of it."""
    notes: list[str] = []
    if labels == "as_written":
        note = describe_spellings(right.values(), str(gold))
        return dict(right), dict(given), [note] if note else []
    examples = [PairExample(name, name, ANY, label=label) for name, label in right.items()]
    others = [PairExample(name, name, ANY, label=label) for name, label in given.items() if label]
    read = labelling_of(labels)(examples, notes.append)
    try:
        told = {example.id: example.labels[0] for example in read.relabel(examples)}
        said = {example.id: example.labels[0] for example in read.relabel(others)}
    except DataError as error:
        raise DataError(f"{predictions} and {gold}: {error}") from error
    return told, {name: said.get(name, "") for name in given}, notes
