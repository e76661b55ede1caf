"""Where the spread of trials comes from: labels drawn, orders, initialisations, and what they do together.

A study crosses some factors, each level of one with each level of the others, and has one score a cell. The model is
that of a random-effects analysis of variance (Searle, Casella and McCulloch, *Variance Components*, 1992, chapter 4):
``score = mean + sum of one effect for each set of factors``, each with a variance of its own. Interactions are named,
because effects are blamed on the wrong factor where they are ignored (Pecher et al., EMNLP 2024). With one score a
cell, the interaction of all factors and whatever else there is are one.

Notation: a grid ``[L1, ..., LF]`` of scores, ``F`` factors with ``Lf`` levels. The module imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from math import prod, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from .resampling import Floats

__all__ = ["Component", "Mean", "mean_of_method", "variance_components"]

Factors = tuple[str, ...]

ROUNDING = 1e-24
"""A variance below so much of the square of the largest score is what rounding leaves of nothing."""


@dataclass(frozen=True, slots=True)
class Component:
    """What one factor, or several together, add to the variance of a score."""

    factors: Factors
    variance: float
    """Estimated from mean squares; what comes out below zero is 0."""
    share: float
    """Of the variance of a single trial, all components together."""
    degrees: int
    """Degrees of freedom of the mean square."""
    mean_square: float

    @property
    def deviation(self) -> float:
        """The standard deviation of a score that this alone would cause, in the units of the score."""
        return sqrt(self.variance)


def variance_components(scores: ArrayLike, factors: Sequence[str]) -> list[Component]:
    """Return the variance component of each set of factors, single factors first.

    The expected mean square of a set ``T`` is the sum, over every set ``U`` that contains it, of the variance of ``U``
    times the number of scores that share a level of ``U``; solved from the set of all factors downwards. What comes out
    below zero is 0 in what is returned, but not in what smaller sets are solved with, so that these stay unbiased.

    Args:
        scores: The grid ``[L1, ..., LF]``, finite.
        factors: A name for each axis; those with one level have no component.

    Raises:
        ValueError: Names and axes differ in number, scores are not finite, or no factor has two levels.
    """
    grid = np.asarray(scores, dtype=np.float64)
    if grid.ndim != len(factors) or len(set(factors)) < len(factors):
        raise ValueError(f"expected a name of its own for each of {grid.ndim} axes, not {list(factors)}")
    if not np.isfinite(grid).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(grid))} of {grid.size} scores are not finite")
    levels = {name: size for name, size in zip(factors, grid.shape, strict=True) if size > 1}
    if not levels:
        raise ValueError("expected a factor with two levels at least, and every one has a single level")
    grid = grid.reshape(tuple(levels.values()))
    names = tuple(levels)
    sets = list(chain.from_iterable(combinations(names, size) for size in range(1, len(names) + 1)))
    squares = {chosen: _mean_square(grid, names, chosen) for chosen in sets}
    solved: dict[Factors, float] = {}
    for chosen in reversed(sets):
        above = sum(solved[other] * _scores_of_a_level(levels, other) for other in sets if set(chosen) < set(other))
        solved[chosen] = (squares[chosen] - above) / _scores_of_a_level(levels, chosen)
    rounding = ROUNDING * max(1.0, float(np.abs(grid).max())) ** 2
    variances = {chosen: solved[chosen] if solved[chosen] > rounding else 0.0 for chosen in sets}
    total = sum(variances.values())
    return [
        Component(
            chosen,
            variances[chosen],
            variances[chosen] / total if total else 0.0,
            prod(levels[name] - 1 for name in chosen),
            squares[chosen],
        )
        for chosen in sets
    ]


def _mean_square(grid: Floats, names: Factors, chosen: Factors) -> float:
    """Return the mean square of the effect of a set of factors: sum of squares by degrees of freedom."""
    axes = {name: axis for axis, name in enumerate(names)}
    effect = np.zeros([grid.shape[axes[name]] if name in chosen else 1 for name in names])
    for size in range(len(chosen) + 1):
        for kept in combinations(chosen, size):
            mean = grid.mean(axis=tuple(axes[name] for name in names if name not in kept), keepdims=True)
            effect = effect + (-1) ** (len(chosen) - size) * mean
    repeated = prod(grid.shape[axes[name]] for name in names if name not in chosen)
    degrees = prod(grid.shape[axes[name]] - 1 for name in chosen)
    return float(repeated * (effect**2).sum() / degrees)


def _scores_of_a_level(levels: Mapping[str, int], chosen: Factors) -> int:
    """Return how many scores of the grid share one level of each of some factors."""
    return prod(size for name, size in levels.items() if name not in chosen)


# ---- The mean of a method ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mean:
    """A method's mean score, with the interval that speaks of other trials and other examples."""

    value: float
    low: float
    high: float
    error: float
    """Standard error."""
    degrees: float
    """Effective degrees of freedom of the error, by Satterthwaite (1946)."""


def mean_of_method(
    scores: ArrayLike, factors: Sequence[str], *, of_examples: float = 0.0, groups: int = 0, level: float = 0.95
) -> Mean:
    """Return the mean of a grid of trials with an interval for what the method gives on average.

    The variance of the mean over crossed random factors is ``sum over sets T of variance(T) / product of their
    levels``, which is a combination of mean squares; its degrees of freedom are those of Satterthwaite. Examples come
    on top: all trials are scored on the same ones, so their part does not shrink with more trials. Where the grid has a
    single level of a factor, the interval says nothing of other levels of it.

    Args:
        scores: The grid ``[L1, ..., LF]``.
        factors: A name for each axis.
        of_examples: Variance of the mean over other test examples, as resamples of them give it.
        groups: How many groups of examples these resamples drew from.
        level: Of the interval.

    Raises:
        ValueError: As for :func:`variance_components`; or the level is no share.
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not {level}")
    grid = np.asarray(scores, dtype=np.float64)
    value, parts = float(grid.mean()), list[tuple[float, float]]()
    if grid.size > 1:
        found = variance_components(grid, factors)
        signs = {one.factors: (-1) ** (len(one.factors) + 1) for one in found}
        # The inclusion and exclusion of expected mean squares that leaves the variance of the mean: for two factors
        # (MS_a + MS_b - MS_ab) / scores. Taken at its least where it comes out below what the cells alone say.
        parts = [(signs[one.factors] * one.mean_square / grid.size, one.degrees) for one in found]
        least = found[-1].mean_square / grid.size
        if sum(part for part, _ in parts) < least:
            parts = [(least, found[-1].degrees)]
    if of_examples:
        parts.append((of_examples, max(1, groups - 1)))
    variance = sum(part for part, _ in parts)
    if not variance:
        return Mean(value, value, value, 0.0, float("inf"))
    degrees = variance**2 / sum(part**2 / freedom for part, freedom in parts)
    degrees = max(degrees, min(freedom for _, freedom in parts))  # a part that is taken away may bring it near zero
    reach = float(t.ppf((1 + level) / 2, degrees)) * sqrt(variance)
    return Mean(value, value - reach, value + reach, sqrt(variance), degrees)
