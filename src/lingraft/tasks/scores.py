"""From predictions to :class:`~lingraft.core.records.Score`, with bootstrap intervals over groups of examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from ..core.examples import Example
from ..core.records import Score, Trial
from ..results.metrics import Metric
from ..results.resampling import resample
from ..results.statistics import bounds
from ..results.units import unit_of
from . import Task


def score(
    gold: Sequence[Any],
    predicted: Sequence[str],
    task: Task,
    groups: Sequence[str],
    *,
    method: str,
    language: str,
    trial: Trial,
    run: str,
    context_language: str | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> list[Score]:
    """Return one :class:`Score` per metric of the task, with its bootstrap interval over groups, if several.

    Args:
        gold: ``N`` right answers.
        predicted: ``N`` predictions, in the same order.
        task: What was asked.
        groups: ``N`` times what an example belongs to; whole groups are drawn, once for all metrics.
        method: Whose predictions they are.
        language: Of the examples.
        trial: The trial that predicted.
        run: The name of the run.
        context_language: Of the contexts of questions, where that differs.
        metrics: What to score by, if not by the metrics of the task.

    Raises:
        ValueError: There are no examples, or not as many predictions or groups.
    """
    resampling, scores = resample(groups), []
    for name, metric in (metrics or task.kind.metrics).items():
        table = metric.table(gold, predicted)
        low, high = bounds(resampling, metric.made, table, unit_of(name).ends)
        scores.append(
            Score(
                task=task.name,
                method=method,
                language=language,
                metric=name,
                value=metric.of_table(table),
                n=len(gold),
                shots=trial.k,
                draw=trial.draw,
                seed=trial.seed,
                run=run,
                context_language=context_language,
                low=low,
                high=high,
                order=trial.order,
            )
        )
    return scores


def score_by_language(
    examples: Sequence[Example],
    predicted: Sequence[str],
    task: Task,
    *,
    language: str,
    method: str,
    trial: Trial,
    run: str,
) -> list[Score]:
    """Score the examples of one language; of each pair of languages where a question has a context in another.

    Args:
        examples: ``N``, in order.
        predicted: What was predicted for each.
        task: Whose kind has the metrics.
        language: Of the examples.
        method: What predicted.
        trial: Shots, draw and seed.
        run: Name of the run.
    """
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
            trial=trial,
            run=run,
        )
    return scores


def by_languages(examples: Sequence[Example], language: str) -> Iterator[tuple[tuple[str, str | None], list[int]]]:
    """Yield places of the examples of each language, and language of the context where that is another kind of text."""

    def key(i: int) -> tuple[str, str]:
        example = examples[i]
        context = example.context_language
        return (language, "") if context is None else (example.language, context)

    for (own, context), places in groupby(sorted(range(len(examples)), key=key), key):
        yield (own, context or None), list(places)
