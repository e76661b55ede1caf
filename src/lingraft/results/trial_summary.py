"""What many trials of a method say in a few numbers: the middle, the worst, how many failed, how often it is better.

The measures of Agarwal et al., *Deep Reinforcement Learning at the Edge of the Statistical Precipice* (NeurIPS 2021),
and two that a practitioner asks for first: the worst trial, and how many are no better than always giving the most
frequent answer. The module imports no torch.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["MARGIN", "failure_rate", "interquartile_mean", "probability_of_improvement", "smallest_difference"]

MARGIN = 0.02
"""A trial has failed where its accuracy is at most so much above that of the most frequent answer."""


def interquartile_mean(scores: ArrayLike) -> float:
    """Return the mean of the middle half of ``[U]`` scores; those at its ends count in part.

    Less is left out than by the median, and a few broken trials do not move it.

    Raises:
        ValueError: There are no scores, or one is not finite.
    """
    ordered = np.sort(_finite(scores))
    ends = np.arange(len(ordered) + 1) / len(ordered)  # each score is a stretch of the distribution
    weights = np.clip(np.minimum(ends[1:], 0.75) - np.maximum(ends[:-1], 0.25), 0, None)
    return float(weights @ ordered / weights.sum())


def failure_rate(scores: ArrayLike, majority: float) -> float:
    """Return the share of ``[U]`` trials at most ``MARGIN`` above ``majority``, the score of one answer for all.

    Raises:
        ValueError: As for :func:`interquartile_mean`.
    """
    return float((_finite(scores) <= majority + MARGIN).mean())


def probability_of_improvement(scores: ArrayLike, others: ArrayLike) -> float:
    """Return how probable it is that a trial of one method is better than one of another; a tie counts half.

    Args:
        scores: ``[U]`` of the method.
        others: ``[V]`` of the other.

    Raises:
        ValueError: As for :func:`interquartile_mean`.
    """
    apart = _finite(scores)[:, None] - _finite(others)[None]
    return float((apart > 0).mean() + (apart == 0).mean() / 2)


def smallest_difference(error: float, *, level: float = 0.05, power: float = 0.8) -> float:
    """Return the true difference that a study would have found with a probability of ``power``.

    ``(z(1 - level / 2) + z(power)) * error``: 2.8 standard errors of the difference at the usual levels (Miller, 2024).

    Args:
        error: Standard error of the difference.
        level: Of the two-sided test.
        power: How probable finding it shall be.
    """
    usual = NormalDist()
    return (usual.inv_cdf(1 - level / 2) + usual.inv_cdf(power)) * error


def _finite(scores: ArrayLike) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    found = np.asarray(scores, dtype=np.float64).ravel()
    if not len(found) or not np.isfinite(found).all():
        raise ValueError(f"expected one finite score at least, got {found[:5]}")
    return found
