"""What a curve over labels found: where methods cross, and how many labels the translations are worth.

A point is the mean over draws, seeds and languages at one number of labels; all points share their test examples, so
resamples of these are paired across methods and numbers of labels. The module imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np

from ..core.errors import RunError
from ..core.shots import name_with_pairs, shots_in
from .comparison import Comparison, shared_languages
from .findings import Estimate, formula_of
from .metrics import values_of
from .resampling import Floats, resample_jointly
from .statistics import Difference, Ends, difference, interval_of_groups


@dataclass(frozen=True)
class Curve:
    """A method's scores by number of labels, and each less that of the reference at the same number."""

    name: str
    points: Mapping[int, Estimate]
    ahead: Mapping[int, Difference]
    """The reference less the method; empty for the reference."""
    of_trials: Mapping[str, float]
    """The score of each trial, by its name."""


@dataclass(frozen=True)
class Worth:
    """How many labels of each class a method without translations needs for what they give without any label."""

    name: str
    pairs: int | None
    """How many translations; None for all."""
    labels: float
    """Infinite where no number that was tried is enough."""
    low: float
    high: float


@dataclass(frozen=True)
class ShotCurve:
    """All methods by number of labels."""

    shots: tuple[int, ...]
    curves: tuple[Curve, ...]
    worths: tuple[Worth, ...]


def read_shot_curve(comparison: Comparison) -> ShotCurve:
    """Analyse the trials of a comparison by number of labels.

    Raises:
        RunError: A method lacks a number of labels that another has, or no language is in all methods.
    """
    trials = {str(m["name"]): tuple(m["trials"]) for m in comparison.methods if m.get("trials")}
    every = sorted({shots for names in trials.values() for shots in map(shots_in, names) if shots != "all"})
    grids = {name: _points(comparison, name, found, every) for name, found in trials.items()}
    ours = grids.get(comparison.reference)
    ends = comparison.unit.ends
    curves = [_curve(name, grid, ours if name != comparison.reference else None, ends) for name, grid in grids.items()]
    return ShotCurve(tuple(every), tuple(curves), tuple(_worths(grids, comparison)))


@dataclass(frozen=True, slots=True)
class _Point:
    """A score, the same on each resample ``[R]`` of so many groups of examples, and that of each trial."""

    score: float
    resampled: Floats
    groups: int
    of_trials: Mapping[str, float]


def _points(comparison: Comparison, name: str, trials: Sequence[str], every: Sequence[int]) -> dict[int, _Point]:
    made, found = formula_of(comparison.about["data"]), dict[int, _Point]()
    for shots in every:
        chosen = [trial for trial in trials if shots_in(trial) == shots]
        if not chosen:
            raise RunError(f"{comparison.folder}: {name} has no trial with {shots} labels; run the curve to its end")
        answers = [comparison.answers(name, chosen, code) for code in shared_languages(comparison)]
        drawn = resample_jointly([[group for _, group, _ in tested] for _, tested in answers])
        resampled = [one.metric(made, counts) for one, (counts, _) in zip(drawn, answers, strict=True)]
        reached = np.mean([values_of(made, counts) for counts, _ in answers], axis=0)  # [U]
        of_trials = dict(zip(chosen, map(float, reached), strict=True))
        found[shots] = _Point(
            float(reached.mean()), np.asarray(np.mean(resampled, axis=0)), min(one.groups for one in drawn), of_trials
        )
    return found


def _curve(name: str, grid: Mapping[int, _Point], ours: Mapping[int, _Point] | None, ends: Ends | None) -> Curve:
    points = {
        shots: Estimate(one.score, *interval_of_groups(one.resampled, one.groups, ends)) for shots, one in grid.items()
    }
    ahead = {
        shots: difference(ours[shots].score - one.score, ours[shots].resampled - one.resampled, one.groups, ends)
        for shots, one in grid.items()
        if ours is not None
    }
    of_trials = {trial: score for one in grid.values() for trial, score in one.of_trials.items()}
    return Curve(name, points, ahead, of_trials)


def _worths(grids: Mapping[str, Mapping[int, _Point]], comparison: Comparison) -> list[Worth]:
    """Compare what methods give without labels with their own curve without translations."""
    found = []
    for name in grids:
        without = grids.get(name_with_pairs(name, 0))
        if without is None or 0 not in grids[name]:
            continue
        for other in [*(one for one in grids if one != name), name]:
            hit = re.fullmatch(rf"{re.escape(name)}-([0-9]+)-pairs", other)
            if other != name and (hit is None or int(hit[1]) == 0):
                continue
            pairs = int(hit[1]) if hit else None
            found.append(_worth(name, pairs, grids[other][0], without))
    return found


def _worth(name: str, pairs: int | None, reached: _Point, without: Mapping[int, _Point]) -> Worth:
    shots = list(without)
    curves = np.stack([one.resampled for one in without.values()])  # [shots, R]
    resampled = [labels_for(shots, curve, aim) for curve, aim in zip(curves.T, reached.resampled, strict=True)]
    low, high = np.quantile(resampled, [0.025, 0.975], method="nearest")  # between two of them may lie infinity
    labels = labels_for(shots, [one.score for one in without.values()], reached.score)
    return Worth(name, pairs, labels, float(low), float(high))


def labels_for(shots: Sequence[int], scores: Sequence[float] | Floats, aim: float) -> float:
    """Return the least number of labels at which a curve reaches a score, between its points on a scale of log(1 + k).

    Args:
        shots: Numbers of labels, rising.
        scores: The curve at these.
        aim: What is to be reached.

    Returns:
        The first number where it is first reached from the start, infinity where it never is.
    """
    if scores[0] >= aim:
        return float(shots[0])
    for (less, below), (more, above) in pairwise(zip(shots, scores, strict=True)):
        if below < aim <= above:
            part = (aim - below) / (above - below)
            return float(np.expm1(np.log1p(less) + part * (np.log1p(more) - np.log1p(less))))
    return inf
