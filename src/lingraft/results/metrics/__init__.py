"""How good predictions are: plain functions over two sequences of labels.

A metric of classification takes the gold labels and the predicted ones, in the same order, and
returns one number between 0 and 1. :data:`METRICS` names those that a task can ask for. The module
imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

__all__ = [
    "METRICS",
    "Metric",
    "SumMetric",
    "accuracy",
    "expected_calibration_error",
    "macro_f1",
    "mean_of",
    "of_sums",
]

Metric = Callable[[Sequence[Any], Sequence[str]], float]
"""Gold and predictions, in the same order, to one number between 0 and 1."""

Counts = tuple[float, ...]


@dataclass(frozen=True)
class SumMetric:
    """A metric that is a function of sums over examples, which makes resampling it cheap.

    ``counts`` gives ``K`` numbers for the gold and the prediction of one example; ``of_sums`` makes the
    metric ``[...]`` of their sums ``[..., K]``.
    """

    counts: Callable[[Any, str], Counts]
    of_sums: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    def __call__(self, gold: Sequence[Any], predicted: Sequence[str]) -> float:
        """The metric over all examples.

        Raises:
            ValueError: There are no examples, or not as many of one as of the other.
        """
        _check_lengths(gold, predicted)
        return float(self.of_sums(self.table(gold, predicted).sum(0)))

    def table(self, gold: Sequence[Any], predicted: Sequence[str]) -> NDArray[np.float64]:
        """The counts of each example: ``[N, K]``."""
        return np.array([self.counts(g, p) for g, p in zip(gold, predicted, strict=True)], dtype=np.float64)


def of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of two sums ``[..., 2]`` (score, examples), the F1 of three ``[..., 3]`` (right, predicted, gold).

    Where nothing is predicted and nothing is gold, 0 as conlleval has it.
    """
    if sums.shape[-1] == 2:
        return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1e-12))
    return np.asarray(2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1e-12))


def mean_of(score: Callable[[Any, str], float]) -> SumMetric:
    """The mean over examples of a score between 0 and 1."""
    return SumMetric(lambda gold, predicted: (float(score(gold, predicted)), 1.0), of_sums)


def accuracy(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of examples whose label is predicted.

    Args:
        gold: ``N`` labels.
        predicted: ``N`` labels, in the same order.

    Raises:
        ValueError: There are no examples, or not as many of one as of the other.
    """
    _check_lengths(gold, predicted)
    return sum(g == p for g, p in zip(gold, predicted, strict=True)) / len(gold)


def macro_f1(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str] | None = None) -> float:
    """Mean over labels of F1, the harmonic mean of precision and recall.

    Args:
        gold: ``N`` labels.
        predicted: ``N`` labels, in the same order.
        labels: The label set of the task: all of them count, and one that occurs neither in gold nor
            in the predictions counts 0. Without it, the labels that do occur.

    Raises:
        ValueError: There are no examples, not as many of one as of the other, or no labels to average over.
    """
    _check_lengths(gold, predicted)
    if labels is not None and not len(labels):
        raise ValueError("macro-F1 is a mean over labels; expected at least one")
    chosen = None if labels is None else list(labels)
    return float(f1_score(list(gold), list(predicted), labels=chosen, average="macro", zero_division=0))


def expected_calibration_error(confidence: Sequence[float], correct: Sequence[float], bins: int = 10) -> float:
    """How far confidence is from accuracy, over bins of confidence (Guo et al., 2017).

    The unit interval is cut into bins of equal width, open below and closed above (0 falls into the
    first). In each bin, the mean confidence is compared with the share of correct predictions; the
    absolute differences are averaged with the number of examples as weight.

    Args:
        confidence: ``N`` probabilities that the model gave to its predictions.
        correct: ``N`` times whether the prediction was right, or how much of it was.
        bins: Number of bins.

    Raises:
        ValueError: There are no examples, not as many of one as of the other, or a confidence is not a probability.
    """
    _check_lengths(correct, confidence, what="confidences")
    if bins < 1:
        raise ValueError(f"expected at least one bin, not {bins}")
    probability = np.asarray(confidence, dtype=np.float64)
    if not ((probability >= 0) & (probability <= 1)).all():  # NaN fails as well
        raise ValueError(f"a confidence lies between 0 and 1, not from {probability.min()} to {probability.max()}")
    edges = np.linspace(0, 1, bins + 1)
    chosen = np.searchsorted(edges[1:-1], probability, side="left")  # [N] index of the bin
    surplus = np.bincount(chosen, probability - np.asarray(correct, dtype=np.float64))
    return float(np.abs(surplus).sum() / len(probability))


METRICS: Mapping[str, Metric] = {"accuracy": accuracy, "macro_f1": macro_f1}


def _check_lengths(gold: Sequence[object], predicted: Sequence[object], what: str = "predictions") -> None:
    if len(gold) != len(predicted):
        raise ValueError(f"{len(predicted)} {what} for {len(gold)} examples; expected one for each")
    if not len(gold):
        raise ValueError("there are no examples to score")
