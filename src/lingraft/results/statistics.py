"""How far to trust a number: intervals, paired differences with p-values, corrections for many of them.

What is reported here comes from the resamples of :mod:`lingraft.results.resampling`. It therefore speaks of other
*examples*; what other seeds and other shots would do is reported by the range over draws, in
:mod:`lingraft.results.findings`.

Where all examples are right, so are all resamples, and the bootstrap would call thirty right answers of thirty certain.
What they show is how rare another answer can be: with 95 % confidence at most ``1 - 0.025 ** (1 / 30)`` of all, the
exact limit of a share of which none was seen (Clopper and Pearson, 1934). The module imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from .metrics import Formula
from .resampling import RESAMPLES, Floats, Resampling

__all__ = [
    "LEVEL",
    "Difference",
    "Ends",
    "bounds",
    "difference",
    "ends_of_difference",
    "highest_share",
    "holm",
    "interval",
    "interval_of_groups",
    "resamples_for",
    "variance_of_groups",
]

Ends = tuple[float, float]
"""The lowest and the highest value that a metric can have (:class:`lingraft.results.units.Unit`)."""

LEVEL = 0.05
"""Where a p-value, corrected for how many there are, is called small."""

ROUNDING = 1e-12
"""By how much numbers may be apart that are the same."""

FINER = 10
"""How many times finer than that the corrected p-values are resolved."""


def interval(resampled: Floats, level: float = 1 - LEVEL) -> tuple[float, float]:
    """Return the middle ``level`` of ``[R]`` resampled numbers: the percentile bootstrap interval.

    Raises:
        ValueError: The level is no share.
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not {level}")
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def highest_share(groups: int, level: float = 1 - LEVEL) -> float:
    """Return how large a share can be of which none was seen: the upper limit of Clopper and Pearson for 0 of ``G``."""
    return float(1 - ((1 - level) / 2) ** (1 / groups))


def interval_of_groups(resampled: Floats, groups: int, ends: Ends | None) -> tuple[float, float]:
    """Return the interval of a metric on ``[R]`` resamples, which has a width also where all of them are the same.

    Then no group of examples was seen that would have moved the number, so that at most :func:`highest_share` of all
    would, by as much as the metric allows. Of a mean of zeros or of ones that is the interval of Clopper and Pearson,
    and of the difference of two methods that never disagree the limit of the share of disagreements, to both sides.
    Of other metrics, such as F1 or a correlation, it is what a mean over groups would have.

    Args:
        resampled: The metric, or a difference of it.
        groups: How many groups of examples were drawn from.
        ends: The lowest and the highest value that there can be; of a difference see
            :func:`ends_of_difference`. Without, constant resamples have no width.
    """
    if ends is None or not _is_constant(resampled):
        return interval(resampled)
    value, share = float(resampled[0]), highest_share(groups)
    return value - share * max(0.0, value - ends[0]), value + share * max(0.0, ends[1] - value)


def variance_of_groups(resampled: Floats, groups: int, ends: Ends | None) -> float:
    """Return the variance of ``[R]`` resamples; where they are all the same, of an interval that is as wide as it is.

    Args:
        resampled: As of :func:`interval_of_groups`.
        groups: As there.
        ends: As there.
    """
    if not _is_constant(resampled):
        return float(np.var(resampled, ddof=1))
    value = float(resampled[0])
    low, high = interval_of_groups(resampled, groups, ends)
    return float((max(high - value, value - low) / NormalDist().inv_cdf(1 - LEVEL / 2)) ** 2)


def _is_constant(resampled: Floats) -> bool:
    """Return whether all resamples are the same, but for what rounding makes of them."""
    return float(np.ptp(resampled)) < ROUNDING


def bounds(
    drawn: Resampling, formula: Formula, table: ArrayLike, ends: Ends | None
) -> tuple[float, float] | tuple[None, None]:
    """Return the interval of a metric; none from a single group, of which every resample is the same.

    Args:
        drawn: Groups of examples.
        formula: What makes the metric.
        table: What each example adds to the sums, ``[N, K]``.
        ends: The lowest and the highest value; without, nothing is said where all resamples are the same.
    """
    if drawn.groups == 1:
        return None, None
    resampled = drawn.metric(formula, np.asarray(table)[None])
    if ends is None and _is_constant(resampled):
        return None, None
    return interval_of_groups(resampled, drawn.groups, ends)


# ---- Differences -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one method is than another, with its 95 % interval and two-sided p-value."""

    mean: float
    low: float
    high: float
    p_value: float
    resolution: float
    """The smallest p-value that the resamples can give, which is what one more of them would add."""


def ends_of_difference(ends: Ends | None) -> Ends | None:
    """Return the lowest and the highest difference of two values that lie between ``ends``."""
    return None if ends is None else (ends[0] - ends[1], ends[1] - ends[0])


def difference(mean: float, resampled: Floats, groups: int, ends: Ends | None) -> Difference:
    """Return a difference with the interval and the p-value that its resamples give.

    The p-value asks how often the resampled difference ``d`` falls on the other side of zero:
    ``p = min(1, 2 (1 + min(#{d <= 0}, #{d >= 0})) / (R + 1))``. The ones count the observed sample
    among the resamples, so ``p`` is never 0; the 2 counts both tails.

    The interval is that of the first ``RESAMPLES``, which are enough for it: it then does not depend on how many
    p-values are corrected for beside it.

    Args:
        mean: On the examples at hand.
        resampled: ``[R]``, the same on each resample, paired by example.
        groups: How many groups of examples were drawn from.
        ends: The lowest and the highest value of the metric.
    """
    low, high = interval_of_groups(resampled[:RESAMPLES], groups, ends_of_difference(ends))
    side = np.sign(np.round(resampled, 12))  # what rounding makes of a tie is a tie
    other_side = min(int(np.count_nonzero(side <= 0)), int(np.count_nonzero(side >= 0)))
    resolution = 2 / (len(resampled) + 1)
    return Difference(mean, low, high, min(1.0, (1 + other_side) * resolution), resolution)


def resamples_for(comparisons: int) -> int:
    """Return how many resamples resolve p-values well enough to be corrected for their number.

    Of ``m`` p-values the smallest is multiplied by ``m`` (:func:`holm`), and so is its resolution ``2 / (R + 1)``.
    The product shall be at most a tenth of the level of 0.05: below it a p-value is small whatever one resample more
    or less would have said. That takes ``R = 400 m``, and ``RESAMPLES`` up to five.
    """
    return max(RESAMPLES, ceil(2 * FINER * comparisons / LEVEL))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many there are (Holm, 1979), in the order given.

    The smallest of ``m`` is multiplied by ``m``, the next by ``m - 1``, and so on; none comes out
    below a smaller one, or above 1.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
