"""What training did to the source language: its development score after, against that of where training began.

What is learnt for other languages passes through parts that the source language shares, so it may cost
the source something. That is measured in every trial, with an interval, and said where it is clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..backbones.encoding import Encoded
from ..core.examples import Example
from ..core.files import write_lines
from ..model.network import Network
from ..model.prediction import predict_rows, predictions_of
from ..results.metrics import Metric
from ..results.resampling import resample
from ..results.statistics import Ends, ends_of_difference, interval_of_groups
from .pools import Context


def development_set(context: Context) -> tuple[Encoded, Sequence[Example], str]:
    """Return the source language's development set: its frozen states, its examples, and the language."""
    materials, source = context.materials, context.materials.task.source_language
    return context.pools[source, "dev"], materials.dev, source


def answer_development_set(model: Network, context: Context) -> list[str]:
    """Return what a network answers to each example of the development set, ensembled as it will be."""
    encoded, examples, language = development_set(context)
    read = predict_rows(model, encoded, [example.id for example in examples], language)
    return read_answers(model.ensemble(examples, *read, language), context)


def read_answers(logits: Sequence[Tensor], context: Context) -> list[str]:
    """Return the answers that logits of the development set give, one for each example."""
    encoded, examples, _ = development_set(context)
    return [prediction.value for prediction in predictions_of(list(logits), examples, encoded, context.materials.task)]


def compare_answers(
    before: Sequence[str], after: Sequence[str], examples: Sequence[Example], metric: Metric, ends: Ends | None
) -> dict[str, Any]:
    """Return the score of answers before and after, and the interval of the difference, paired by example.

    Args:
        before: Answers to the ``N`` examples.
        after: The same, later.
        examples: With gold answers; those of one group are drawn together.
        metric: What scores them.
        ends: The lowest and the highest value of it.

    Returns:
        ``n``, ``before``, ``after``, and the bounds ``low`` and ``high`` of after minus before (95 %, bootstrap); no
        bounds where all examples are one group.
    """
    gold = [example.gold for example in examples]
    old, new = metric.table(gold, before), metric.table(gold, after)  # [N, K]
    found = {"n": len(gold), "before": metric.of_table(old), "after": metric.of_table(new)}
    drawn = resample([example.group for example in examples])
    if drawn.groups == 1:
        return found | {"low": None, "high": None}
    apart = drawn.metric(metric.made, new[None]) - drawn.metric(metric.made, old[None])
    low, high = interval_of_groups(apart, drawn.groups, ends_of_difference(ends))
    return found | {"low": low, "high": high}


def write_development(folder: Path, examples: Sequence[Example], answers: Sequence[str], metric: Metric) -> None:
    """Write ``development.jsonl``: what each answer to the development set adds to the sums of the metric.

    Args:
        folder: Of the trial.
        examples: ``N``, with gold answers.
        answers: To these.
        metric: What scores them.
    """
    rows = [
        {"id": one.id, "group": one.group, "counts": metric.counts(one.gold, answer)}
        for one, answer in zip(examples, answers, strict=True)
    ]
    write_lines(folder / "development.jsonl", rows)
