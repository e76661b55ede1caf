"""How well numbers are told: how alike they rise (Spearman, Pearson), and how far they are off.

A correlation says nothing of the scale, and an error nothing of the order, so both are reported. What is counted of an
example is the number that is right and the one that was given.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import Counts, Formula, Metric, OfExamples, formulas
from .ordinal import mean_ranks

Floats = NDArray[np.float64]


def metrics_of_numbers(tolerance: float) -> dict[str, Metric]:
    """Return what numbers are scored by; the first counts.

    Args:
        tolerance: By how much a number may be off and still be called right.
    """

    def right(gold: str, predicted: str) -> float:
        off = abs(float(gold) - float(predicted))
        return 1.0 if off <= tolerance else tolerance / off

    def error(gold: str, predicted: str) -> Counts:
        return abs(float(gold) - float(predicted)), 1.0

    return {
        "spearman": Metric(both, "spearman_of_numbers", right),
        "mean_absolute_error": Metric(error, "mean", right),
        "pearson": Metric(both, "pearson_of_numbers", right),
    }


def both(gold: str, predicted: str) -> Counts:
    """Return the number that is right and the one that was given."""
    return float(gold), float(predicted)


@formulas.register("spearman_of_numbers")
def spearman_formula() -> Formula:
    """Return Spearman's rank correlation, equal numbers sharing their mean rank; 0 where one side is constant.

    Each resample is ranked anew: ranks that were kept from the whole test set would leave out that they vary as well.
    """

    def of(times: Floats, numbers: Floats) -> Floats:
        right, given = numbers.T
        return _correlation(times, _ranks(times, right), _ranks(times, given))

    return OfExamples(of)


@formulas.register("pearson_of_numbers")
def pearson_formula() -> Formula:
    """Return Pearson's correlation; 0 where one side is constant."""

    def of(times: Floats, numbers: Floats) -> Floats:
        right, given = (np.broadcast_to(one, times.shape) for one in numbers.T)
        return _correlation(times, right, given)

    return OfExamples(of)


def _ranks(times: Floats, numbers: Floats) -> Floats:
    """Return the rank of each of ``N`` numbers in each resample, ``[R, N]``, by how often each is there."""
    order = np.argsort(numbers, kind="stable")
    ascending = numbers[order]
    first = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])  # of those that are equal
    counts = np.add.reduceat(times[:, order], first, axis=1)
    place = np.empty(len(numbers), dtype=np.intp)
    place[order] = np.cumsum(np.isin(np.arange(len(numbers)), first)) - 1
    return mean_ranks(counts)[:, place]


def _correlation(times: Floats, one: Floats, other: Floats) -> Floats:
    """Return Pearson's correlation of ``[R, N]`` values, each there so many ``times``: ``[R]``."""
    sides, known = [], np.ones(len(times), dtype=bool)
    for values in (one, other):
        centred = values - (times * values).sum(1, keepdims=True) / times.sum(1, keepdims=True)
        size = _squares(times, centred)
        known &= size > ROUNDING * _squares(times, values)
        sides.append((centred, size))
    (one, of_one), (other, of_other) = sides
    together = np.einsum("rn,rn,rn->r", times, one, other)
    return np.asarray(np.where(known, together / np.sqrt(np.where(known, of_one * of_other, 1.0)), 0.0).clip(-1.0, 1.0))


ROUNDING = 1e-24
"""What is left, by rounding, of the squares of equal numbers when their mean is taken off, as a share of these."""


def _squares(times: Floats, values: Floats) -> Floats:
    return np.asarray(np.einsum("rn,rn,rn->r", times, values, values))
