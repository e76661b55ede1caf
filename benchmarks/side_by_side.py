"""Answers of several methods to the same questions, in one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lingraft.core.files import Row, read_lines
from lingraft.data.languages import display_name
from lingraft.results.metrics import formula
from lingraft.results.metrics.answers import answer_metrics
from lingraft.results.resampling import Floats, Resampling, resample
from lingraft.results.statistics import interval
from lingraft.results.wording import difference


@dataclass(frozen=True)
class Column:
    """A method: the folder with its one training, and which of the answers in it are the method's."""

    title: str
    folder: Path
    answers: str = "value"

    def rows(self, language: str) -> dict[str, Row]:
        """Predictions by the question's id."""
        (file,) = self.folder.glob(f"predictions/*/{language}.jsonl")
        return {str(row["id"]): row for row in read_lines(file)}


def table(
    columns: Sequence[Column], languages: Sequence[str], compared: tuple[int, int], only: Path | None = None
) -> Iterator[str]:
    """F1 and, behind it, exact match by SQuAD's rules, and the paired difference in F1 of two columns.

    Args:
        columns: The methods.
        languages: Codes.
        compared: The columns whose difference is told: the first less the second.
        only: A run's folder: nothing but the questions that it was scored on.
    """
    first, second = (columns[i].title for i in compared)
    titles = " | ".join(column.title for column in columns)
    yield f"| language | {titles} | {first} − {second} | n |"
    yield "|---" * (len(columns) + 2) + "|--:|"
    for language in languages:
        answered = [column.rows(language) for column in columns]
        asked = Column("", only).rows(language) if only else answered[0]
        ids = sorted(set(asked).intersection(*answered))
        scores = [_scores(rows, ids, column.answers) for rows, column in zip(answered, columns, strict=True)]
        drawn = resample([str(answered[0][i]["group"]) for i in ids])
        one, other = (_resampled(scores[i]["f1"], drawn) for i in compared)
        low, high = interval(one - other)
        gain = difference(*(_mean(scores[i]["f1"]) for i in reversed(compared)), 3)
        cells = " | ".join(_cell(one, drawn) for one in scores)
        yield f"| {display_name(language)} | {cells} | {gain:+f} [{low:+.3f}, {high:+.3f}] | {len(ids):,} |"


Counts = list[Sequence[float]]


def _scores(rows: Mapping[str, Row], ids: Sequence[str], column: str) -> dict[str, Counts]:
    """What each question adds to the sums of each metric."""
    metrics = answer_metrics("squad")
    return {name: [metric.counts(rows[i]["gold"], rows[i][column]) for i in ids] for name, metric in metrics.items()}


def _mean(counts: Counts) -> float:
    sums = np.asarray(counts).sum(axis=0)
    return float(sums[0] / sums[1])


def _resampled(counts: Counts, drawn: Resampling) -> Floats:
    return drawn.metric(formula("mean"), np.array([counts]))


def _cell(scores: Mapping[str, Counts], drawn: Resampling) -> str:
    low, high = interval(_resampled(scores["f1"], drawn))
    return f"{_mean(scores['f1']):.3f} [{low:.3f}, {high:.3f}], {_mean(scores['exact_match']):.3f}"
