"""What methods of a comparison keep of the source language: its development score, paired by example.

A method may gain in the target languages and cost the one that the task is learnt in. All methods answer the same
development examples, so their differences have intervals of their own, though the set is small, and chose the
learning rates where several were tried.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import RunError
from .comparison import Block, Comparison
from .development import read_development
from .findings import Estimate, formula_of
from .metrics import values_of
from .resampling import resample
from .statistics import ends_of_difference, interval_of_groups


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
    answers = {result.name: read_development(comparison.folder / result.name, block.trials) for result in block.results}
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
    means = {name: float(values_of(made, table).mean()) for name, table in tables.items()}
    resampled = {name: drawn.metric(made, table) for name, table in tables.items()}
    ours, ends = comparison.reference, comparison.unit.ends
    return [
        SourceScore(
            name,
            Estimate(mean, *interval_of_groups(resampled[name], drawn.groups, ends)),
            Estimate(
                mean - means[ours],
                *interval_of_groups(resampled[name] - resampled[ours], drawn.groups, ends_of_difference(ends)),
            )
            if ours in means and name != ours
            else None,
        )
        for name, mean in means.items()
    ]
