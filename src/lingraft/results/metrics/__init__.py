"""How good predictions are: metrics that are functions of sums over examples.

One kind of metric serves all tasks. What an example adds to the sums is counted once; the number, its intervals and
its paired differences are then made from sums alone, so that a bootstrap resample costs a matrix product
(:mod:`lingraft.results.resampling`). How sums become the number is a *formula*, and a formula has a name: counts are
written beside the predictions, the name into ``data.json``, and a report, which knows no kinds of task, makes the
same number from both. A metric of one's own with a formula of its own registers that::

    @formulas.register("geometric_mean")
    def geometric_mean() -> Formula:
        return lambda sums: np.exp(sums[..., 0] / sums[..., 1])

What no sums give, such as a correlation of ranks, is a formula :class:`OfExamples`. The module imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import eq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.registry import Registry

__all__ = [
    "Counts",
    "Formula",
    "Metric",
    "OfExamples",
    "OfSums",
    "accuracy",
    "formula",
    "formulas",
    "macro_f1",
    "mean_of",
    "values_of",
]

Counts = tuple[float, ...]
"""What one example adds to the sums: ``K`` numbers."""


@dataclass(frozen=True)
class OfExamples:
    """A formula of what is counted of each example, and of how often the example is there."""

    made: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
    """Times ``[R, N]`` and counts ``[N, K]`` to the metric ``[R]``."""


OfSums = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Sums ``[..., K]`` to the metric ``[...]``."""

Formula = OfSums | OfExamples
"""What makes a metric: at most 1, the more the better; correlations may
be below 0. Only errors are otherwise, which are in units of what is predicted (:mod:`lingraft.results.units`)."""

formulas = Registry("lingraft.formulas", "lingraft.results.metrics")


@dataclass(frozen=True)
class Metric:
    """A metric of predictions, one for each example.

    Calling it with ``N`` gold answers and ``N`` predictions gives one number.
    """

    counts: Callable[[Any, str], Counts]
    """Gold and prediction of one example to ``K`` numbers that are added up over examples."""
    formula: str
    """The name of what makes the metric of the sums, in :data:`formulas`."""
    right: Callable[[Any, str], float]
    """How much of one prediction is right, 1 being all of it; a confidence is the chance of that."""

    def __call__(self, gold: Sequence[Any], predicted: Sequence[str]) -> float:
        """Return the metric over all examples.

        Raises:
            ValueError: As :meth:`table`.
        """
        return self.of_table(self.table(gold, predicted))

    def table(self, gold: Sequence[Any], predicted: Sequence[str]) -> NDArray[np.float64]:
        """Return the counts of each example: ``[N, K]``.

        Raises:
            ValueError: There are no examples, or not as many of one as of the other.
        """
        if len(gold) != len(predicted):
            raise ValueError(f"{len(predicted)} predictions for {len(gold)} examples; expected one for each")
        if not len(gold):
            raise ValueError("there are no examples to score")
        return np.array([self.counts(g, p) for g, p in zip(gold, predicted, strict=True)], dtype=np.float64)

    @property
    def made(self) -> Formula:
        """What makes the metric of the counts."""
        return formula(self.formula)

    def of_table(self, table: NDArray[np.float64]) -> float:
        """Return the metric of counts ``[N, K]``."""
        return float(values_of(self.made, table[None])[0])


def formula(name: str) -> Formula:
    """Return the formula called ``name``.

    Raises:
        ConfigError: Nobody registered it.
    """
    found: Formula = formulas.get(name)()
    return found


def values_of(made: Formula, tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the metric ``[U]`` of the counts ``[U, N, K]`` of each trial, every example being there once."""
    if isinstance(made, OfExamples):
        return np.concatenate([made.made(np.ones((1, len(table))), table) for table in tables])
    return made(tables.sum(1))


# ---- Formulas --------------------------------------------------------------------------------------


@formulas.register("mean")
def mean() -> Formula:
    """Return the mean of two sums: score, examples."""
    return lambda sums: np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1e-12))


@formulas.register("f1")
def f1() -> OfSums:
    """Return the F1 of three sums: right, predicted, gold. Nothing predicted of nothing is 0, as in conlleval."""
    return lambda sums: np.asarray(2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1e-12))


@formulas.register("macro_f1")
def macro() -> Formula:
    """Return the mean over classes of their F1, from the three sums of each class in turn."""

    def of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(f1()(sums.reshape(*sums.shape[:-1], -1, 3)).mean(-1))

    return of_sums


@formulas.register("macro_f1_of_seen")
def macro_of_seen() -> Formula:
    """Return ``macro_f1`` over the classes that occur in gold or in the predictions."""

    def of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        of_class = sums.reshape(*sums.shape[:-1], -1, 3)
        seen = np.count_nonzero(of_class[..., 1] + of_class[..., 2], axis=-1)
        return np.asarray(f1()(of_class).sum(-1) / np.maximum(seen, 1))

    return of_sums


# ---- Metrics ---------------------------------------------------------------------------------------


def mean_of(score: Callable[[Any, str], float]) -> Metric:
    """Return the mean over examples of a score between 0 and 1; only a score of 1 is right."""
    return Metric(
        counts=lambda gold, predicted: (float(score(gold, predicted)), 1.0),
        formula="mean",
        right=lambda gold, predicted: float(score(gold, predicted) == 1),
    )


accuracy = mean_of(eq)
"""Share of examples whose label is predicted."""


def macro_f1(labels: Sequence[str], *, only_seen: bool = False) -> Metric:
    """Return the mean over ``labels`` of F1, the harmonic mean of precision and recall.

    Args:
        labels: ``C`` of them. All count: one that occurs neither in gold nor in the predictions has an F1 of 0.
        only_seen: Such a label does not count. That is for labels which were themselves read from the examples: a
            resample that happens to miss one is not held against the model.

    Raises:
        ValueError: There are no labels to average over.
    """
    if not len(labels):
        raise ValueError("macro-F1 is a mean over labels; expected at least one")
    places = {label: 3 * i for i, label in enumerate(labels)}

    def counts(gold: str, predicted: str) -> Counts:
        row = [0.0] * (3 * len(places))
        if predicted in places:
            row[places[predicted]] = float(gold == predicted)
            row[places[predicted] + 1] = 1.0
        if gold in places:
            row[places[gold] + 2] = 1.0
        return tuple(row)

    return Metric(
        counts, "macro_f1_of_seen" if only_seen else "macro_f1", lambda gold, predicted: float(gold == predicted)
    )
