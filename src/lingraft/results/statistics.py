"""How far to trust a number: intervals, paired differences with p-values, corrections for many of them.

What is reported here comes from the resamples of :mod:`lingraft.results.resampling`. It therefore speaks of other
*examples*; what other seeds and other shots would do is reported by the range over draws, in
:mod:`lingraft.results.findings`. The module imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike

from .metrics import Formula
from .resampling import RESAMPLES, Floats, Resampling

__all__ = ["LEVEL", "Difference", "bounds", "difference", "holm", "interval", "resamples_for"]

LEVEL = 0.05
"""Where a p-value, corrected for how many there are, is called small."""

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


def bounds(drawn: Resampling, formula: Formula, table: ArrayLike) -> tuple[float, float] | tuple[None, None]:
    """Return the interval of a metric; none from a single group, of which every resample is the same.

    Args:
        drawn: Groups of examples.
        formula: What makes the metric.
        table: What each example adds to the sums, ``[N, K]``.
    """
    return interval(drawn.metric(formula, np.asarray(table)[None])) if drawn.groups > 1 else (None, None)


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


def difference(mean: float, resampled: Floats) -> Difference:
    """Return a difference with the interval and the p-value that its resamples give.

    The p-value asks how often the resampled difference ``d`` falls on the other side of zero:
    ``p = min(1, 2 (1 + min(#{d <= 0}, #{d >= 0})) / (R + 1))``. The ones count the observed sample
    among the resamples, so ``p`` is never 0; the 2 counts both tails.

    The interval is that of the first ``RESAMPLES``, which are enough for it: it then does not depend on how many
    p-values are corrected for beside it.

    Args:
        mean: On the examples at hand.
        resampled: ``[R]``, the same on each resample, paired by example.
    """
    low, high = interval(resampled[:RESAMPLES])
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
