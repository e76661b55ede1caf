"""Model, texts, language: logits, predictions, scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from .encode import Encoded, length_batches
from .metrics import Metric, SumMetric
from .model import Network
from .records import Example, Prediction, Score, SpanExample
from .run_folder import Unit
from .statistics import bootstrap_metric_interval, sum_metric_interval
from .tasks import Task

TOKENS_PER_BATCH = 4096


def predict_rows(
    model: Network,
    encoded: Encoded,
    ids: Sequence[str],
    language: str,
    advance: Callable[[int], None] = lambda rows: None,
) -> tuple[list[Tensor], Tensor]:
    """Logits of all rows of some examples, and the rows' pooled states ``[R, H]``, in the order of ``ids``.

    ``advance`` is called with the number of rows that were just read.

    Returns:
        For each row ``[C]``, or ``[T, C]`` of its real tokens where the head reads tokens; and the pooled states.
    """
    device = model.adaptation.head.weight.device
    rows = [row for i in ids for row in encoded.rows[i]]
    every = encoded.lengths
    lengths = [every[row] for row in rows]
    logits: list[Any] = [None] * len(rows)
    pooled = torch.empty(len(rows), model.stack.width)
    model.eval()
    with torch.no_grad():
        for batch in length_batches(lengths, TOKENS_PER_BATCH):
            states = encoded.table.batch([rows[i] for i in batch])
            final, out = model(states.to(device), language)
            pooled[batch] = final.pooled().float().cpu()
            for i, row in zip(batch, out.float().cpu(), strict=True):
                logits[i] = row[: lengths[i]].clone() if row.dim() > 1 else row
            advance(len(batch))
    return logits, pooled


def predictions_of(
    logits: Sequence[Tensor], examples: Sequence[Example], encoded: Encoded, task: Task
) -> list[Prediction]:
    """What the logits of all rows of ``examples`` say."""
    features = [encoded.features[row] for example in examples for row in encoded.rows[example.id]]
    return task.kind.decode(examples, features, logits)


def score(
    gold: Sequence[Any],
    predicted: Sequence[str],
    task: Task,
    groups: Sequence[str],
    *,
    method: str,
    language: str,
    unit: Unit,
    run: str,
    context_language: str | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> list[Score]:
    """One :class:`Score` per metric of the task, with its bootstrap interval over groups of examples."""
    scores = []
    for name, metric in (metrics or task.kind.metrics).items():
        low, high = metric_interval(metric, name, gold, predicted, groups, task.labels)
        scores.append(
            Score(
                task=task.name,
                method=method,
                language=language,
                metric=name,
                value=metric(gold, predicted),
                n=len(gold),
                shots=unit.k,
                draw=unit.draw,
                seed=unit.seed,
                run=run,
                context_language=context_language,
                low=low,
                high=high,
            )
        )
    return scores


def metric_interval(
    metric: Metric,
    name: str,
    gold: Sequence[Any],
    predicted: Sequence[str],
    groups: Sequence[str],
    labels: Sequence[str],
) -> tuple[float, float]:
    """The 95 % bootstrap interval of a metric over groups of examples."""
    if isinstance(metric, SumMetric):
        return sum_metric_interval(metric, metric.table(gold, predicted), groups)
    return bootstrap_metric_interval(gold, [predicted], name, groups, labels=labels)


def score_by_language(
    examples: Sequence[Example],
    predicted: Sequence[str],
    task: Task,
    *,
    language: str,
    method: str,
    unit: Unit,
    run: str,
) -> list[Score]:
    """Scores of the examples of one language; of each pair of languages where a question has a context in another."""
    scores = []
    for (question, context), places in by_languages(examples, language):
        metrics = task.kind.metrics_of(examples[places[0]])
        scores += score(
            [examples[i].gold for i in places],
            [predicted[i] for i in places],
            task,
            [examples[i].group for i in places],
            method=method,
            language=question,
            context_language=context,
            metrics=metrics,
            unit=unit,
            run=run,
        )
    return scores


def by_languages(examples: Sequence[Example], language: str) -> Iterator[tuple[tuple[str, str | None], list[int]]]:
    """Places of the examples of each language, and language of the context where that is another kind of text."""

    def key(i: int) -> tuple[str, str]:
        example = examples[i]
        return (example.language, example.context_language) if isinstance(example, SpanExample) else (language, "")

    for (own, context), places in groupby(sorted(range(len(examples)), key=key), key):
        yield (own, context or None), list(places)
