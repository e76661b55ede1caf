"""Trials as a grid: which draw of the labels, seed and order each has, and whether all are crossed with all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from ..core.shots import TRIAL
from .resampling import Floats

__all__ = ["FACTORS", "in_cells", "is_crossed", "trial_cells"]

FACTORS = ("draw", "seed", "order")


def trial_cells(names: Sequence[str]) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """Return how many levels each factor has, and the cell of each trial."""
    hits = {name: hit for name in names if (hit := TRIAL.fullmatch(name))}
    values = {name: tuple(int(hit[factor] or 0) for factor in FACTORS) for name, hit in hits.items()}
    there = [sorted({value[axis] for value in values.values()}) for axis in range(len(FACTORS))]
    levels = dict(zip(FACTORS, map(len, there), strict=True))
    return levels, {
        name: tuple(found.index(one) for found, one in zip(there, value, strict=True)) for name, value in values.items()
    }


def is_crossed(names: Sequence[str], levels: Mapping[str, int]) -> bool:
    """Return whether no cell is empty."""
    return len(names) == prod(levels.values())


def in_cells(scores: Sequence[float], cells: Mapping[str, tuple[int, ...]], levels: Mapping[str, int]) -> Floats:
    """Return one score for each trial, in the order of ``cells``, as the grid ``[draws, seeds, orders]``."""
    grid = np.full(tuple(levels.values()), np.nan)
    for cell, score in zip(cells.values(), scores, strict=True):
        grid[cell] = score
    return grid
