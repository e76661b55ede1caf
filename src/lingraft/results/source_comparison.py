"""What methods of a comparison keep of the source language: its development score, paired by example.

A method may gain in the target languages and cost the one that the task is learnt in. All methods answer the same
development examples, so their differences have intervals of their own, though the set is small, and chose the
learning rates where several were tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import RunError
from ..core.files import read_lines
from .comparison import Block, Comparison
from .findings import Estimate, formula_of
from .resampling import Floats, resample
from .schemas import DEVELOPMENT
from .statistics import interval


@dataclass(frozen=True)
class SourceScore:
    """A method's development score, mean over the trials of a block; ``difference`` is method minus reference."""

    name: str
    mean: Estimate
    difference: Estimate | None


def source_scores(comparison: Comparison, block: Block) -> list[SourceScore]:
    """Return the development scores of the methods of a block, in its order.

    Methods of which not all trials wrote down what they answered, as older ones did not, are left out.

    Raises:
        RunError: Two methods answered other examples.
    """
    answers = {result.name: _answers(comparison, result.name, block.trials) for result in block.results}
    found = {name: answered for name, answered in answers.items() if answered is not None}
    tables, asked = {name: table for name, (table, _) in found.items()}, {examples for _, examples in found.values()}
    if not found:
        return []
    if len(asked) > 1:
        raise RunError(
            f"{comparison.folder}: not all methods were scored on the same development examples; the files of the task "
            "have changed in between: delete the folder of the older method"
        )
    drawn, made = resample([group for _, group in asked.pop()]), formula_of(comparison.about["data"])
    if drawn.groups == 1:
        return []
    means = {name: float(made(table.sum(1)).mean()) for name, table in tables.items()}
    resampled = {name: drawn.metric(made, table) for name, table in tables.items()}
    ours = comparison.reference
    return [
        SourceScore(
            name,
            Estimate(mean, *interval(resampled[name])),
            Estimate(mean - means[ours], *interval(resampled[name] - resampled[ours]))
            if ours in means and name != ours
            else None,
        )
        for name, mean in means.items()
    ]


def _answers(
    comparison: Comparison, method: str, trials: Sequence[str]
) -> tuple[Floats, tuple[tuple[str, str], ...]] | None:
    """Return counts ``[U, N, K]`` and ids with groups ``[N]``; None where a trial has none, or others."""
    places = [comparison.folder / method / "trials" / trial / "development.jsonl" for trial in trials]
    rows = [sorted(read_lines(place, DEVELOPMENT), key=lambda row: str(row["id"])) for place in places]
    asked = {tuple((str(row["id"]), str(row["group"])) for row in trial) for trial in rows}
    if len(asked) != 1 or not all(rows):
        return None
    return np.array([[row["counts"] for row in trial] for trial in rows], dtype=np.float64), asked.pop()
