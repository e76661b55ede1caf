"""How far a difference between two methods reaches: these trainings, other draws and seeds, other languages.

The paired bootstrap of a comparison speaks of other test examples, for the trainings and languages at hand. A claim
about the method itself needs draws and seeds as a sample, and one about languages in general needs the languages as a
sample, too: the mean of the differences over a grid of languages, draws, seeds and orders, all random, with the
interval of :func:`lingraft.results.trial_variance.mean_of_method`. Closed form stands where a bootstrap over levels
would have two or three of them to draw from, and would be too narrow. The module imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .resampling import Floats
from .trial_grid import FACTORS, in_cells, is_crossed, trial_cells
from .trial_summary import smallest_difference
from .trial_variance import Mean, mean_of_method

__all__ = ["LANGUAGES", "Reach", "reach"]

LANGUAGES = 3
"""Of fewer, an interval for other languages would say nothing: one degree of freedom is a factor of 12.7."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A difference as a claim that reaches beyond the trainings at hand."""

    trials: Mean | None
    """For other draws, seeds and orders and other examples, in these languages; None of a single trial."""
    languages: Mean | None
    """For other languages, too; None of fewer than ``LANGUAGES``."""
    seen: float
    """The true difference that these examples would have shown, for these trainings, in four of five test sets."""


def reach(apart: Floats, trials: Sequence[str], of_examples: float, groups: int) -> Reach:
    """Return what the differences of two methods say of other trials and of other languages.

    What the examples cause is part of the spread between languages as well as added to it, so the interval is wider
    than it need be where languages have test sets of their own, and right where they share their sentences.

    Args:
        apart: ``[languages, U]``, score of the method minus that of the reference, trial by trial.
        trials: Names of the ``U`` trials; where they do not cross draws, seeds and orders, nothing is said of others.
        of_examples: Variance of the mean of the differences over other test examples.
        groups: How many groups of examples there are.
    """
    seen = smallest_difference(of_examples**0.5)
    levels, cells = trial_cells(trials)
    if not is_crossed(trials, levels):
        return Reach(None, None, seen)
    grid = np.stack([in_cells(list(row), cells, levels) for row in apart])
    return Reach(
        mean_of_method(grid.mean(0), FACTORS, of_examples=of_examples, groups=groups) if len(trials) > 1 else None,
        mean_of_method(grid, ("language", *FACTORS), of_examples=of_examples, groups=groups)
        if len(grid) >= LANGUAGES
        else None,
        seen,
    )
