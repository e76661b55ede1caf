"""Whether confidences are chances: bins of confidence, and the expected calibration error over them.

In each bin the mean confidence is compared with how much was right (Naeini et al., 2015; Guo et al., 2017). The
summary of a run, its report and the reliability diagram all read the same bins. The module imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Bin", "calibration_bins", "expected_calibration_error"]


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of similar confidence: how sure the model was on average, how often right, and how many."""

    confidence: float
    accuracy: float
    count: int


def calibration_bins(confidence: Sequence[float], right: Sequence[float], bins: int = 10) -> list[Bin]:
    """Cut the unit interval into ``bins`` of equal width, and return those that hold a prediction, in order.

    Bin ``k`` of ``B`` is open below and closed above: it holds what lies over ``(k - 1) / B`` and up to ``k / B``.
    The first holds 0 as well.

    Args:
        confidence: ``N`` probabilities that the model gave to its predictions.
        right: ``N`` times whether the prediction was right, or how much of it was.
        bins: Number of bins.

    Raises:
        ValueError: Not as many of one as of the other, no bins, or a confidence that is not a probability.
    """
    if len(confidence) != len(right):
        raise ValueError(f"{len(confidence)} confidences for {len(right)} examples; expected one for each")
    if bins < 1:
        raise ValueError(f"expected at least one bin, not {bins}")
    sure, hits = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if not ((sure >= 0) & (sure <= 1)).all():  # NaN fails as well
        raise ValueError(f"a confidence lies between 0 and 1, not from {sure.min()} to {sure.max()}")
    edges = [k / bins for k in range(1, bins)]
    places = np.searchsorted(edges, sure, side="left")  # [N]
    counts = np.bincount(places, minlength=bins)
    sums = [np.bincount(places, values, minlength=bins) for values in (sure, hits)]
    return [
        Bin(float(sums[0][k] / counts[k]), float(sums[1][k] / counts[k]), int(counts[k]))
        for k in np.flatnonzero(counts)
    ]


def expected_calibration_error(bins: Sequence[Bin]) -> float | None:
    """Return the mean distance of confidence and accuracy, weighted by count; None where nothing was predicted."""
    total = sum(part.count for part in bins)
    return sum(part.count * abs(part.confidence - part.accuracy) for part in bins) / total if total else None
