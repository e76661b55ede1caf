"""Scores of anybody's predictions, from two files: what was predicted, and what is right.

What the files look like depends on the metric: answers to questions (``squad``, ``mlqa:hi``) are a JSON object
of question ids against gold in the JSON of SQuAD v1.1, as for the official scripts; tags (``span_f1``,
``tag_accuracy``) are two files of words with their tags; labels (``accuracy``, ``macro_f1``) are an object
``{"id": "label"}`` or a table with a row for each id. Nothing is left out in silence: what is in one file only
is an error, unless the caller wants it counted as wrong.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError, DataError
from ..core.records import TaggedExample
from ..data.conll import tagged_examples
from ..data.squad import read_squad
from ..data.table import read_table
from ..data.text import open_bytes, suffix_of
from ..results.metrics import Metric, accuracy, macro_f1
from ..results.metrics.answers import NORMALISERS, SQUAD_V2, answer_metrics
from ..results.metrics.spans import check_tag, span_f1, tag_accuracy
from ..results.resampling import resample
from ..results.statistics import interval

__all__ = ["FileScore", "ScoreReport", "score_files"]

TAG_METRICS: Mapping[str, Metric] = {"span_f1": span_f1, "tag_accuracy": tag_accuracy}
LABEL_METRICS = ("accuracy", "macro_f1")

PREDICTED = ("value", "prediction", "label", "answer")
RIGHT = ("label", "gold", "answer", "value")
"""The columns that a table's predictions and right answers are looked for in, first found first taken."""

ANY = "eng"
"""Readers want to know a language; scores do not depend on it."""


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

    ``missing`` of the examples had no prediction and were counted as wrong.
    """

    metric: str
    scores: tuple[FileScore, ...]
    examples: int
    groups: int
    missing: int = 0


def score_files(predictions: Path, gold: Path, metric: str, *, missing_is_wrong: bool = False) -> ScoreReport:
    """Score one file by another.

    Args:
        predictions: What was predicted; ``.gz`` may follow the suffix of either file.
        gold: What is right.
        metric: ``squad``, ``squad_v2`` (where questions may have no answer) or ``mlqa:LANGUAGE`` (of the context, see
            :func:`lingraft.results.metrics.answers.answer_metrics`), which give F1 and exact match; ``span_f1``,
            ``tag_accuracy``, ``accuracy``, or ``macro_f1`` over the labels that occur in either file.
        missing_is_wrong: Count questions and labels without a prediction as wrong, as the official scripts for
            question answering do, instead of refusing the file.

    Raises:
        ConfigError: The metric is unknown.
        DataError: A file is not in the shape that the metric needs, or the two do not belong together.
    """
    if metric in TAG_METRICS:
        return _score_tags(predictions, gold, metric)
    if metric in LABEL_METRICS:
        return _score_labels(predictions, gold, metric, missing_is_wrong)
    if metric.partition(":")[0].strip().lower() not in {SQUAD_V2, *(name.partition(":")[0] for name in NORMALISERS)}:
        known = ", ".join([*NORMALISERS, SQUAD_V2, *TAG_METRICS, *LABEL_METRICS])
        raise ConfigError([f"unknown metric {metric!r}; known: {known}"], where="metric")
    return _score_answers(predictions, gold, metric, missing_is_wrong)


# ---- Answers ---------------------------------------------------------------------------------------


def _score_answers(predictions: Path, gold: Path, metric: str, missing_is_wrong: bool) -> ScoreReport:
    """Score questions; those on one paragraph are drawn together."""
    metrics, with_none = answer_metrics(metric), metric.strip().lower() == SQUAD_V2
    asked = read_squad(gold, language=ANY, keep_unanswerable=with_none)
    if asked.unanswerable and not with_none:
        raise DataError(
            f"{gold}: {asked.unanswerable} of {asked.unanswerable + len(asked.examples)} questions have no answer, as "
            f"in SQuAD v2; the scores of v1.1 and MLQA say nothing about those, so score by {SQUAD_V2}, or give a file "
            "without them"
        )
    given = _values(predictions, PREDICTED, what="answer", only_text=True)
    missing = _checked_ids([example.id for example in asked.examples], given, predictions, gold, missing_is_wrong)
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


def _score_tags(predictions: Path, gold: Path, metric: str) -> ScoreReport:
    check = check_tag if metric == "span_f1" else None
    right, guessed = (tagged_examples(path, language=ANY, check=check) for path in (gold, predictions))
    if len(right) != len(guessed):
        raise DataError(
            f"{predictions}: has {len(guessed)} sentences, {gold} has {len(right)}; expected the same sentences in the "
            f"same order, parted by one empty line. They part at {_first_difference(right, guessed)}"
        )
    for one, other in zip(right, guessed, strict=True):
        if one.words != other.words:
            raise DataError(
                f"{predictions}: its words are not those of {gold} at {_first_difference([one], [other])}; predict one "
                "tag for each word of the gold file, whatever a tokenizer makes of it"
            )
    chosen = TAG_METRICS[metric]
    table = chosen.table([one.gold for one in right], [str(other.gold) for other in guessed])
    return ScoreReport(metric, _scores({metric: chosen}, {metric: table}, len(right)), len(right), len(right))


def _first_difference(right: Sequence[TaggedExample], guessed: Sequence[TaggedExample]) -> str:
    for one, other in zip(right, guessed, strict=False):
        for place, (word, found) in enumerate(zip(one.words, other.words, strict=False), start=1):
            if word != found:
                return f"sentence {one.id}, word {place}: expected {word!r}, found {found!r}"
        if len(one.words) != len(other.words):
            return f"sentence {one.id} ({_start_of(one)}): expected {len(one.words)} words, found {len(other.words)}"
    return "the end of the shorter file"


def _start_of(example: TaggedExample) -> str:
    return " ".join(example.words[:5]) + (" …" if len(example.words) > 5 else "")


# ---- Labels ----------------------------------------------------------------------------------------


def _score_labels(predictions: Path, gold: Path, metric: str, missing_is_wrong: bool) -> ScoreReport:
    right = _values(gold, RIGHT, what="label")
    given = _values(predictions, PREDICTED, what="label")
    missing = _checked_ids(right, given, predictions, gold, missing_is_wrong)
    truth, guessed = list(right.values()), [given.get(key, "") for key in right]
    # "No prediction" is not a label that macro-F1 should average over.
    chosen = accuracy if metric == "accuracy" else macro_f1(sorted({*truth, *given.values()}), only_seen=True)
    scores = _scores({metric: chosen}, {metric: chosen.table(truth, guessed)}, len(truth))
    return ScoreReport(metric, scores, len(truth), len(truth), missing)


# ---- Files of ids ----------------------------------------------------------------------------------


def _checked_ids(
    wanted: Collection[str], given: Collection[str], predictions: Path, gold: Path, missing_is_wrong: bool
) -> int:
    """Count the ids that have no prediction.

    Raises:
        DataError: There are such and they are not wanted to be wrong, or there are predictions of other ids.
    """
    known, predicted = set(wanted), set(given)
    missing = [key for key in wanted if key not in predicted]
    others = [key for key in given if key not in known]
    if len(missing) == len(known):
        raise DataError(
            f"{predictions}: none of its ids ({_some(others)}) is one of {gold} ({_some(missing)}); are these files of "
            "the same data set?"
        )
    if others:
        raise DataError(
            f"{predictions}: {len(others)} of {len(predicted)} ids are not in {gold}: {_some(others)}; give the gold "
            "file that they were predicted for, or remove them"
        )
    if missing and not missing_is_wrong:
        raise DataError(
            f"{predictions}: {len(missing)} of {len(known)} ids in {gold} have no prediction: {_some(missing)}; add "
            "them, or count them as wrong, as the official scripts do, with --missing-is-wrong"
        )
    return len(missing)


def _some(keys: Sequence[str], most: int = 3) -> str:
    return ", ".join(map(repr, keys[:most])) + (", …" if len(keys) > most else "")


def _values(path: Path, columns: Sequence[str], *, what: str, only_text: bool = False) -> dict[str, str]:
    """Return what the file says of each id, in the order of the file.

    Raises:
        DataError: The file is no such object or table, or an id occurs twice.
    """
    pairs = _members(path, what) if suffix_of(path) == ".json" else _cells(path, columns)
    found: dict[str, str] = {}
    for where, key, value in pairs:
        if key in found:
            raise DataError(f"{where}: the id {key!r} occurs twice; keep one of the two")
        if isinstance(value, bool) or not isinstance(value, str if only_text else str | int):
            raise DataError(f"{where}: the {what} of {key!r} is {_kind(value)}; expected a text in quotes")
        if not only_text and not str(value).strip():
            raise DataError(f"{where}: the {what} of {key!r} is empty; fill it in or remove the id")
        found[key] = str(value)
    if not found:
        raise DataError(f'{path}: says nothing of any id; expected {{"id": "{what}", …}}')
    return found


def _members(path: Path, what: str) -> list[tuple[str, str, Any]]:
    """Return where, id and value, from a JSON object."""
    with open_bytes(path) as stream:
        content = stream.read()
    hint = f'expected one object {{"id": "{what}", …}}, or a table named .jsonl, .csv or .tsv'
    try:
        # Pairs instead of a dictionary, which would hide that an id occurs twice.
        members = json.loads(content, object_pairs_hook=_Members)
    except (ValueError, RecursionError) as error:  # a ValueError also where it is not Unicode
        raise DataError(f"{path}: is not JSON ({error}); {hint}") from error
    if not isinstance(members, _Members):
        raise DataError(f"{path}: is {_kind(members)}; {hint}")
    if any(key == "data" and isinstance(value, list) for key, value in members):
        raise DataError(f"{path}: is a file of questions, not of predictions; {hint}")
    return [(str(path), key.strip(), value) for key, value in members]


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object, which a list is not."""


def _cells(path: Path, columns: Sequence[str]) -> list[tuple[str, str, Any]]:
    """Return where, id and value, from the rows of a table."""
    found = []
    for number, row in read_table(path):
        where = f"{path}, line {number}"
        column = next((name for name in columns if name in row), None)
        if "id" not in row or column is None:
            raise DataError(
                f"{where}: expected the columns `id` and one of {', '.join(columns)}; there are "
                f"{', '.join(map(str, row))}"
            )
        found.append((where, str(row["id"]).strip(), row[column]))
    return found


def _kind(value: object) -> str:
    names: Mapping[type, str] = {dict: "an object", _Members: "an object", list: "a list", type(None): "null"}
    return names.get(type(value), f"{type(value).__name__} {value!r}")
