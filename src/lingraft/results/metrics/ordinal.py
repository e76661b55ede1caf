"""How well labels that have an order are told: from how often each was given for each, ``[C, C]``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import Counts, Formula, Metric, accuracy, formulas

Floats = NDArray[np.float64]


def spearman(labels: Sequence[str]) -> Metric:
    """Return Spearman's rank correlation of labels with those that are right, equal ones sharing their mean rank.

    Args:
        labels: ``C`` of them, the lowest first. What is none of them is left out.
    """
    return _of_table(labels, "spearman")


def quadratic_kappa(labels: Sequence[str]) -> Metric:
    """Return Cohen's kappa with weights that grow with the square of the distance (Cohen, 1968).

    Args:
        labels: ``C`` of them, the lowest first. What is none of them is left out.
    """
    return _of_table(labels, "quadratic_kappa")


def metrics_of_scale(labels: Sequence[str]) -> dict[str, Metric]:
    """Return what labels that are a scale are scored by, the lowest label first; the first counts."""
    return {"spearman": spearman(labels), "quadratic_kappa": quadratic_kappa(labels), "accuracy": accuracy}


def _of_table(labels: Sequence[str], formula: str) -> Metric:
    places = {label: i for i, label in enumerate(labels)}

    def counts(gold: str, predicted: str) -> Counts:
        table = [0.0] * len(places) ** 2
        if gold in places and predicted in places:
            table[places[gold] * len(places) + places[predicted]] = 1.0
        return tuple(table)

    return Metric(counts, formula, lambda gold, predicted: float(gold == predicted))


def _tables(sums: Floats) -> Floats:
    """Return ``[..., C, C]`` of ``[..., C * C]``: right labels in rows, given ones in columns."""
    side = round(sums.shape[-1] ** 0.5)
    return sums.reshape(*sums.shape[:-1], side, side)


def mean_ranks(counts: Floats) -> Floats:
    """Return the mean rank of each label, from how often it occurs, ``[..., C]``."""
    return np.asarray(np.cumsum(counts, axis=-1) - (counts - 1) / 2)


@formulas.register("spearman")
def spearman_formula() -> Formula:
    """Return Pearson's correlation of the mean ranks of right and given labels; 0 where one side is constant."""

    def of_sums(sums: Floats) -> Floats:
        table = _tables(sums)
        total = np.maximum(table.sum((-2, -1)), 1e-12)
        ranks = []
        for axis in (-1, -2):
            counts = table.sum(axis)
            rank = mean_ranks(counts)
            centred = rank - ((rank * counts).sum(-1) / total)[..., None]
            size = np.sqrt((centred**2 * counts).sum(-1))
            ranks.append((centred, size))
        (right, right_size), (given, given_size) = ranks
        together = np.einsum("...i,...ij,...j->...", right, table, given)
        sizes = right_size * given_size
        return np.asarray(np.where(sizes > 1e-9, together / np.maximum(sizes, 1e-9), 0.0))

    return of_sums


@formulas.register("quadratic_kappa")
def quadratic_kappa_formula() -> Formula:
    """Return quadratically weighted kappa of a table of right and given labels; 0 where all are the same label."""

    def of_sums(sums: Floats) -> Floats:
        table = _tables(sums)
        places = np.arange(table.shape[-1])
        weights = (places[:, None] - places[None, :]) ** 2
        total = np.maximum(table.sum((-2, -1)), 1e-12)
        expected = np.einsum("...i,...j->...ij", table.sum(-1), table.sum(-2)) / total[..., None, None]
        seen, chance = (table * weights).sum((-2, -1)), (expected * weights).sum((-2, -1))
        return np.asarray(np.where(chance > 1e-9, 1 - seen / np.maximum(chance, 1e-9), 0.0))

    return of_sums
