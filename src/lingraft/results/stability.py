"""What a stability study found: for each method the mean, its spread by cause, the worst trial and the failures.

A score here is a trial's mean over languages. The spread is split by :mod:`lingraft.results.trial_variance`; the
interval of a mean speaks of other draws, seeds and orders as well as of other test examples, where the table of a
comparison speaks of examples alone. The module imports no torch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from ..core.errors import RunError
from ..core.shots import Shots, order_of_shots, shots_in
from .comparison import Comparison, Tested
from .findings import formula_of, has_classes
from .resampling import Floats, Resampling, resample_jointly
from .trial_summary import failure_rate, interquartile_mean, probability_of_improvement
from .trial_variance import Component, Mean, mean_of_method, variance_components

FACTORS = ("draw", "seed", "order")
_TRIAL = re.compile(r"k(?:\d+|all)-draw(\d+)-seed(\d+)(?:-order(\d+))?")


@dataclass(frozen=True)
class Stability:
    """A method on one number of shots; scores are between 0 and 1."""

    name: str
    mean: Mean
    deviation: float
    """The standard deviation of a trial, all components together."""
    components: tuple[Component, ...]
    worst: float
    best: float
    interquartile: float
    failures: float | None
    """Share of trials within two points of the most frequent class; None where there are no classes."""
    better: float | None
    """How probable it is that a trial of the reference is better; None for the reference."""
    of_examples: float
    """Standard error that the test examples alone cause."""
    more: Mapping[str, float]
    """What the standard error would be with one level more of each factor."""


@dataclass(frozen=True)
class Study:
    """All methods on one number of shots, the most stable first."""

    shots: Shots
    levels: Mapping[str, int]
    majority: float | None
    methods: tuple[Stability, ...]
    reliability: float | None
    """Share of all variance, methods apart and trials, that lies between the methods; None for one method."""


def read_stability(comparison: Comparison) -> list[Study]:
    """Analyse the trials of a comparison, for each number of shots.

    Raises:
        RunError: Trials do not cross draws, seeds and orders, each with each.
    """
    possible = [str(method["name"]) for method in comparison.methods if method.get("trials")]
    trials = {str(m["name"]): tuple(m["trials"]) for m in comparison.methods if m.get("trials")}
    every = sorted({shots_in(trial) for names in trials.values() for trial in names}, key=order_of_shots)
    return [_study(comparison, possible, trials, shots) for shots in every]


def _study(comparison: Comparison, methods: Sequence[str], trials: Mapping[str, Sequence[str]], shots: Shots) -> Study:
    chosen = {name: [trial for trial in trials[name] if shots_in(trial) == shots] for name in methods}
    levels, cells = _grid(comparison, next(iter(chosen.values())))
    if any(set(found) != set(cells) for found in chosen.values()):
        raise RunError(f"{comparison.folder}: not all methods have the same trials; run the study again to its end")
    scored, drawn, majority = _scores(comparison, methods, list(cells))
    grids = {name: _in_cells(found[0], cells, levels) for name, found in scored.items()}
    reference = grids.get(comparison.reference)
    found = [_stability(name, grids[name], scored[name][1], drawn, majority, levels, reference) for name in methods]
    several = [grids[name] for name in methods if _is_trained(grids[name])]
    apart = variance_components(np.stack(several), ("method", *levels)) if len(several) > 1 else []
    reliability = next((one.share for one in apart if one.factors == ("method",)), None)
    return Study(shots, levels, majority, tuple(sorted(found, key=lambda one: -one.mean.value)), reliability)


def _is_trained(grid: Floats) -> bool:
    """Return whether trials of one draw differ: where nothing is drawn in training, seeds are no trials."""
    return bool(np.ptp(grid.reshape(grid.shape[0], -1), axis=1).max() > 0)


def _grid(comparison: Comparison, names: Sequence[str]) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """Return how many levels each factor has, and the cell of each trial.

    Raises:
        RunError: A cell is empty.
    """
    hits = {name: hit for name in names if (hit := _TRIAL.fullmatch(name))}
    values = {name: tuple(int(one or 0) for one in hit.groups()) for name, hit in hits.items()}
    there = [sorted({value[axis] for value in values.values()}) for axis in range(len(FACTORS))]
    levels = dict(zip(FACTORS, map(len, there), strict=True))
    if len(names) != np.prod(list(levels.values())):
        raise RunError(
            f"{comparison.folder}: {len(names)} trials are not all draws with all seeds and orders "
            f"({' × '.join(str(count) for count in levels.values())}); run the study again to its end"
        )
    return levels, {
        name: tuple(found.index(one) for found, one in zip(there, value, strict=True)) for name, value in values.items()
    }


def _in_cells(scores: Sequence[float], cells: Mapping[str, tuple[int, ...]], levels: Mapping[str, int]) -> Floats:
    grid = np.full(tuple(levels.values()), np.nan)
    for cell, score in zip(cells.values(), scores, strict=True):
        grid[cell] = score
    return grid


Scored = tuple[list[float], Floats]
"""A method's score of each trial, and the resampled mean of all of them ``[R]``."""


def _scores(
    comparison: Comparison, methods: Sequence[str], trials: Sequence[str]
) -> tuple[dict[str, Scored], list[Resampling], float | None]:
    """Return the methods' scores, how test examples were resampled, and the score of the most frequent class."""
    data, languages = comparison.about["data"], comparison.targets
    made, drawn, shares = formula_of(data), list[Resampling](), list[float]()
    found: dict[str, Scored] = {}
    for name in methods:
        answers = [comparison.answers(name, trials, code) for code in languages]
        if not drawn:
            drawn = resample_jointly([[group for _, group, _ in tested] for _, tested in answers])
            shares = [_most_frequent(tested) for _, tested in answers]
        by_language = np.array([made(counts.sum(1)) for counts, _ in answers])  # [languages, U]
        resampled = [one.metric(made, counts) for one, (counts, _) in zip(drawn, answers, strict=True)]
        found[name] = [float(score) for score in by_language.mean(0)], np.mean(resampled, axis=0)
    return found, drawn, float(np.mean(shares)) if has_classes(data) else None


def _most_frequent(tested: Sequence[Tested]) -> float:
    return Counter(gold for _, _, gold in tested).most_common(1)[0][1] / len(tested)


def _stability(
    name: str,
    grid: Floats,
    resampled: Floats,
    drawn: Sequence[Resampling],
    majority: float | None,
    levels: Mapping[str, int],
    reference: Floats | None,
) -> Stability:
    of_examples = float(resampled.var(ddof=1))
    components = tuple(variance_components(grid, tuple(levels)))
    groups = min(one.groups for one in drawn)
    mean = mean_of_method(grid, tuple(levels), of_examples=of_examples, groups=groups)
    now = of_examples + _error(components, levels)
    return Stability(
        name=name,
        mean=mean,
        deviation=sqrt(sum(one.variance for one in components)),
        components=components,
        worst=float(grid.min()),
        best=float(grid.max()),
        interquartile=interquartile_mean(grid),
        failures=None if majority is None else failure_rate(grid, majority),
        better=None if reference is None or reference is grid else probability_of_improvement(reference, grid),
        of_examples=sqrt(of_examples),
        more={
            factor: mean.error * sqrt((of_examples + _error(components, {**levels, factor: count + 1})) / (now or 1))
            for factor, count in levels.items()
            if count > 1
        },
    )


def _error(components: Sequence[Component], levels: Mapping[str, int]) -> float:
    """Return the variance of a mean over so many levels: that of each component by how many of it are averaged."""
    return sum(one.variance / float(np.prod([levels[name] for name in one.factors])) for one in components)
