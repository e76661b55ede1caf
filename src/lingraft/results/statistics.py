"""How far to trust a number: bootstrap intervals, paired differences, spread over draws.

A score on 204 examples would have been another one on 204 other examples. The bootstrap (Efron,
1979) asks how different, by scoring samples drawn with replacement from the examples at hand.
Examples that belong together (questions on one paragraph, one sentence in many languages) are drawn
together; and one draw serves all languages and all trained models, since they share the examples.
The intervals therefore speak of other *examples*; what other seeds and other shots do is told by
:func:`summary`.

Every statistic here is a function of sums over examples, so a resample needs no copy of the data:
how often each group was drawn, times the sums of each group, is one matrix product.

Notation: ``N`` examples, ``G`` groups of them, ``U`` units (seeds × shot draws), ``L`` languages,
``R`` resamples, ``K`` sums. The module imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .metrics import METRICS, Metric, SumMetric, of_sums

__all__ = [
    "Difference",
    "Summary",
    "bootstrap_interval",
    "bootstrap_metric_interval",
    "holm",
    "joint_difference",
    "joint_interval",
    "paired_difference",
    "sum_metric_interval",
    "summary",
    "sums_interval",
]

Floats = NDArray[np.float64]

_CHUNK = 4_000_000  # draws held in memory at once


# ---- Spread over draws -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Summary:
    """A score over shot draws and seeds; ``standard_deviation`` is None where there is only one."""

    mean: float
    standard_deviation: float | None
    worst: float
    n: int


def summary(values: Sequence[float]) -> Summary:
    """Mean, sample standard deviation and lowest of the scores of several trained models.

    Raises:
        ValueError: There are none, or some are not finite.
    """
    scores = _finite(values, dimensions=(1,))
    spread = float(scores.std(ddof=1)) if len(scores) > 1 else None
    return Summary(float(scores.mean()), spread, float(scores.min()), len(scores))


# ---- Intervals -------------------------------------------------------------------------------------


def bootstrap_interval(
    values: ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over examples.

    Args:
        values: ``[U, N]`` or ``[N]``, e.g. 1 where a prediction is right. A resample is drawn once for all rows.
        groups: ``[N]``, what each example belongs to; whole groups are drawn. Without it, each
            example is its own group.
        resamples: How often to draw.
        seed: Where the random numbers start.
        level: Share of the resampled means that the interval covers.

    Returns:
        Lower and upper end; they coincide where there is only one group.

    Raises:
        ValueError: Nothing to average, numbers that are not finite, or groups that do not match.
    """
    columns = _over_rows(_finite(values, dimensions=(1, 2)))
    return _interval(_resampled_means(columns, groups, resamples, seed), level)


def bootstrap_metric_interval(
    gold: Sequence[str],
    predicted_rows: Sequence[Sequence[str]],
    metric: str | Metric,
    groups: Sequence[str] | None = None,
    *,
    labels: Sequence[str] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a metric, averaged over units that predict the same examples.

    Args:
        gold: ``[N]`` labels.
        predicted_rows: ``[U, N]`` labels.
        metric: A name in :data:`lingraft.metrics.METRICS`, computed from counts for all resamples at once; or
            any function of gold and predicted labels, called ``R`` × ``U`` times.
        groups: ``[N]``, as in :func:`bootstrap_interval`.
        labels: The label set that macro-F1 averages over, as in :func:`lingraft.metrics.macro_f1`.
        resamples: How often to draw.
        seed: Where the random numbers start.
        level: Share of the resampled metrics that the interval covers.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: Nothing to score, rows that do not match, or a metric that nobody knows.
    """
    truth, predicted = np.asarray(gold), np.asarray(predicted_rows)  # [N], [U, N]
    if truth.ndim != 1 or not predicted.size or predicted.shape != (len(predicted), len(truth)):
        raise ValueError(f"expected labels [N] and predictions [U, N], not {truth.shape} and {predicted.shape}")
    if isinstance(metric, str) and metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}; known: {', '.join(METRICS)}")
    if metric in ("accuracy", METRICS["accuracy"]):
        means = _resampled_means(_over_rows((predicted == truth).astype(np.float64)), groups, resamples, seed)
        return _interval(means, level)
    if metric in ("macro_f1", METRICS["macro_f1"]):
        return _interval(_resampled_macro_f1(truth, predicted, labels, groups, resamples, seed), level)
    function = METRICS[metric] if isinstance(metric, str) else metric
    return _interval(_resampled_metric(truth, predicted, function, groups, resamples, seed), level)


def sum_metric_interval(
    metric: SumMetric,
    table: ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a metric that is a function of sums over examples.

    Args:
        metric: The metric.
        table: ``[N, K]`` counts of each example, see :meth:`lingraft.metrics.SumMetric.table`.
        groups: ``[N]``, as in :func:`bootstrap_interval`.
        resamples: How often to draw.
        seed: Where the random numbers start.
        level: Share of the resampled metrics that the interval covers.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: Nothing to score, or numbers that are not finite.
    """
    sums = _resampled_sums(_finite(table, dimensions=(2,)), groups, resamples, seed)  # [R, K]
    return _interval(metric.of_sums(sums), level)


def sums_interval(
    tables: Sequence[ArrayLike],
    groups: Sequence[str] | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean or an F1, averaged over units, or of the difference of two.

    Args:
        tables: One or two arrays ``[U, N, K]``: what each example adds to the sums of
            :func:`lingraft.metrics.of_sums`. With two, the first metric less the second, paired by example.
        groups: ``[N]``, as in :func:`bootstrap_interval`.
        resamples: How often to draw, examples of all units and tables at once.
        seed: Where the random numbers start.
        level: Share of the resampled numbers that the interval covers.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: Nothing to score, or numbers that are not finite.
    """
    resampled = np.zeros(resamples)
    for sign, table in zip((1.0, -1.0), tables, strict=False):
        resampled += sign * _resampled_ratios(_finite(table, dimensions=(3,)), groups, resamples, seed)
    return _interval(resampled, level)


# ---- Differences -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one method is than another, with its 95 % interval and two-sided p-value."""

    mean: float
    low: float
    high: float
    p_value: float


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Difference:
    """Paired bootstrap of ``a - b`` over examples that both methods answered in all languages.

    The difference is averaged over languages, then over units, then over examples. Examples (or whole
    groups) are drawn once per resample, for all languages and units: a sentence that is hard in one
    language is hard in the others, and treating them as independent would flatter the interval.

    The p-value asks how often the resampled difference ``d`` falls on the other side of zero:
    ``p = min(1, 2 (1 + min(#{d <= 0}, #{d >= 0})) / (R + 1))``. The ones count the observed sample
    among the resamples, so ``p`` is never 0; the 2 counts both tails.

    Args:
        a: ``[L, U, N]``, e.g. 1 where a prediction is right; column ``n`` is the same sentence throughout.
        b: ``[L, U, N]``, the same for the other method.
        groups: ``[N]``, as in :func:`bootstrap_interval`.
        resamples: How often to draw.
        seed: Where the random numbers start.
        level: Share of the resampled differences that the interval covers.

    Raises:
        ValueError: The two do not have the same shape, or not three dimensions.
    """
    first, second = _finite(a, dimensions=(3,)), _finite(b, dimensions=(3,))
    if first.shape != second.shape:
        raise ValueError(f"a pair of methods needs one shape [L, U, N], not {first.shape} and {second.shape}")
    columns = (first - second).mean(0).mean(0)  # [U, N], then [N]
    return _difference(float(columns.mean()), _resampled_means(columns, groups, resamples, seed), level)


def _difference(mean: float, resampled: Floats, level: float) -> Difference:
    """Interval and p-value of a difference from its resamples ``[R]``."""
    low, high = _interval(resampled, level)
    side = np.sign(np.round(resampled, 12))  # what rounding makes of a tie is a tie
    other_side = min(np.count_nonzero(side <= 0), np.count_nonzero(side >= 0))
    return Difference(mean, low, high, min(1.0, 2 * (1 + other_side) / (len(resampled) + 1)))


# ---- Several languages -----------------------------------------------------------------------------


def joint_interval(
    values: Sequence[ArrayLike],
    groups: Sequence[Sequence[str]],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over languages of the means over examples.

    Languages whose test sets hold the same groups share their draws: a sentence that is hard in one
    language is hard in the others. Languages with other groups are drawn on their own.

    Args:
        values: For each language ``[U, N]``, e.g. 1 where a prediction is right; or ``[U, N, K]``, what each example
            adds to the sums of :func:`lingraft.metrics.of_sums`, for the mean over languages of that metric.
        groups: For each language ``[N]``, what an example belongs to, by the same name in every language.
        resamples: How often to draw.
        seed: Where the random numbers start.
        level: Share of the resampled means that the interval covers.

    Raises:
        ValueError: Nothing to average, numbers that are not finite, or groups that do not match.
    """
    return _interval(_joint_means(values, groups, resamples, seed), level)


def joint_difference(
    a: Sequence[ArrayLike],
    b: Sequence[ArrayLike],
    groups: Sequence[Sequence[str]],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Difference:
    """:func:`paired_difference` for languages that may differ in their examples; draws as in :func:`joint_interval`.

    Args:
        a: For each language ``[U, N]`` or ``[U, N, K]``, as in :func:`joint_interval`.
        b: For each language ``[U, N]``, the same examples in the same order answered by the other method.
        groups: For each language ``[N]``.
        resamples: How often to draw.
        seed: Where the random numbers start.
        level: Share of the resampled differences that the interval covers.

    Raises:
        ValueError: The two do not have the same shapes.
    """
    first, second = ([_finite(one, dimensions=(2, 3)) for one in side] for side in (a, b))
    if [one.shape for one in first] != [one.shape for one in second]:
        raise ValueError("a pair of methods needs the same units and examples [U, N] in every language")
    if first and first[0].ndim == 3:  # no means over examples: resampled alike, and only then subtracted
        points = [np.mean([of_sums(one.sum(1)).mean() for one in side]) for side in (first, second)]
        resampled = _joint_means(first, groups, resamples, seed) - _joint_means(second, groups, resamples, seed)
        return _difference(float(points[0] - points[1]), resampled, level)
    differences = [one - other for one, other in zip(first, second, strict=True)]
    mean = float(np.mean([one.mean() for one in differences]))
    return _difference(mean, _joint_means(differences, groups, resamples, seed), level)


def _joint_means(values: Sequence[ArrayLike], groups: Sequence[Sequence[str]], resamples: int, seed: int) -> Floats:
    """Mean over languages of their resampled means: ``[R]``."""
    if not values or len(values) != len(groups):
        raise ValueError(f"{len(groups)} lists of groups for {len(values)} languages; expected one for each, not none")
    test_sets: list[frozenset[str]] = []
    total = np.zeros(resamples)
    for one, names in zip(values, groups, strict=True):
        held = frozenset(names)
        if held not in test_sets:
            test_sets.append(held)
        here = seed + test_sets.index(held)
        # Groups are numbered in the order of their names: the same seed draws the same ones.
        found = _finite(one, dimensions=(2, 3))
        if found.ndim == 3:
            total += _resampled_ratios(found, names, resamples, here)
        else:
            total += _resampled_means(_over_rows(found), names, resamples, here)
    return total / len(values)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for how many there are (Holm, 1979), in the order given.

    The smallest of ``m`` is multiplied by ``m``, the next by ``m - 1``, and so on; none comes out
    below a smaller one, or above 1.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


# ---- Resampling ------------------------------------------------------------------------------------


def _interval(resampled: Floats, level: float) -> tuple[float, float]:
    """The middle ``level`` of ``[R]`` resampled statistics."""
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not {level}")
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resampled_means(columns: Floats, groups: Sequence[str] | None, resamples: int, seed: int) -> Floats:
    """Means over examples ``[N]``, resampled: ``[R]``."""
    start = columns[0]  # sums are taken from here, so that what is constant stays so to the last bit
    sums = np.stack([columns - start, np.ones_like(columns)], axis=1)  # [N, 2]
    totals = _resampled_sums(sums, groups, resamples, seed)
    return np.asarray(start + totals[:, 0] / totals[:, 1], dtype=np.float64)


def _resampled_ratios(counts: Floats, groups: Sequence[str] | None, resamples: int, seed: int) -> Floats:
    """The metric of the sums of counts ``[U, N, K]``, mean over units, resampled: ``[R]``."""
    units, examples, width = counts.shape
    flat = counts.transpose(1, 0, 2).reshape(examples, units * width)
    sums = _resampled_sums(flat, groups, resamples, seed).reshape(resamples, units, width)
    return np.asarray(of_sums(sums).mean(1), dtype=np.float64)


def _resampled_macro_f1(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    labels: Sequence[str] | None,
    groups: Sequence[str] | None,
    resamples: int,
    seed: int,
) -> Floats:
    """Macro-F1 from counts, ``F1 = 2 both / (gold + predicted)``, mean over units: ``[R]``."""
    counted = np.union1d(truth, predicted) if labels is None else np.asarray(labels)  # [C]
    if not counted.size:
        raise ValueError("macro-F1 is a mean over labels; expected at least one")
    is_gold = truth[:, None] == counted  # [N, C]
    scores = np.zeros(resamples)
    gold_total = _resampled_sums(is_gold.astype(np.float64), groups, resamples, seed)  # [R, C]
    for row in predicted:
        is_predicted = row[:, None] == counted  # [N, C]
        sums = np.concatenate([is_gold & is_predicted, is_predicted], axis=1).astype(np.float64)  # [N, 2 C]
        both, guessed = np.split(_resampled_sums(sums, groups, resamples, seed), 2, axis=1)  # [R, C] twice
        seen = gold_total + guessed
        f1 = 2 * both / np.maximum(seen, 1)
        averaged = len(counted) if labels is not None else np.count_nonzero(seen, axis=1)
        scores += f1.sum(1) / averaged
    return scores / len(predicted)


def _resampled_metric(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    metric: Metric,
    groups: Sequence[str] | None,
    resamples: int,
    seed: int,
) -> Floats:
    """Any metric, called on every resample and unit; mean over units: ``[R]``."""
    membership, count = _membership(groups, len(truth))
    members = [np.flatnonzero(membership == group) for group in range(count)]
    scores = []
    for drawn in _draws(count, resamples, seed):
        for draw in drawn:
            chosen = np.concatenate([members[group] for group in draw])
            gold = truth[chosen].tolist()
            scores.append(np.mean([metric(gold, row[chosen].tolist()) for row in predicted]))
    return np.asarray(scores, dtype=np.float64)


def _resampled_sums(sums: Floats, groups: Sequence[str] | None, resamples: int, seed: int) -> Floats:
    """Sums over examples ``[N, K]``, resampled by group: ``[R, K]``."""
    membership, count = _membership(groups, len(sums))
    per_group = np.zeros((count, sums.shape[1]))
    np.add.at(per_group, membership, sums)
    totals = []
    for drawn in _draws(count, resamples, seed):
        cells = drawn + count * np.arange(len(drawn))[:, None]
        times = np.bincount(cells.ravel(), minlength=drawn.size).reshape(drawn.shape)  # how often each group came
        totals.append(times.astype(np.float64) @ per_group)
    return np.concatenate(totals)


def _draws(count: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Indices of groups drawn with replacement, some resamples at a time: ``[r, G]``, ``R`` rows in all."""
    if resamples < 1:
        raise ValueError(f"expected at least one resample, not {resamples}")
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // count)
    for start in range(0, resamples, step):
        yield rng.integers(count, size=(min(step, resamples - start), count))


def _membership(groups: Sequence[str] | None, examples: int) -> tuple[NDArray[np.int64], int]:
    """The number of each example's group, ``[N]``, and how many groups there are."""
    if groups is None:
        return np.arange(examples), examples
    if len(groups) != examples:
        raise ValueError(f"{len(groups)} groups for {examples} examples; expected one for each")
    names, membership = np.unique(np.asarray(groups), return_inverse=True)
    return membership, len(names)


def _over_rows(values: Floats) -> Floats:
    """``[U, N]`` or ``[N]`` to the mean over rows, ``[N]``."""
    return np.asarray(np.atleast_2d(values).mean(0), dtype=np.float64)


def _finite(values: ArrayLike, dimensions: tuple[int, ...]) -> Floats:
    """The values as an array that can be averaged."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in dimensions or not array.size:
        raise ValueError(f"expected some numbers in {' or '.join(map(str, dimensions))} dimensions, not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(array))} of {array.size} numbers are not finite")
    return array
