"""What a stability study found: for each method the mean, its spread by cause, the worst trial and the failures.

A score here is a trial's mean over languages. The spread is split by :mod:`lingraft.results.trial_variance`; the
interval of a mean speaks of other draws, seeds and orders as well as of other test examples, where the table of a
comparison speaks of examples alone. The module imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from ..core.errors import RunError
from ..core.shots import Shots, order_of_shots, shots_in
from .comparison import Comparison, shared_languages
from .findings import formula_of, has_classes, metrics_of, score_of_majority
from .metrics import values_of
from .resampling import Floats, resample_jointly
from .statistics import Ends, variance_of_groups
from .trial_grid import FACTORS, in_cells, is_crossed, trial_cells
from .trial_summary import failure_rate, interquartile_mean, probability_of_improvement
from .trial_variance import Component, Mean, mean_of_method, variance_components


@dataclass(frozen=True)
class Stability:
    """A method on one number of shots; scores are between 0 and 1."""

    name: str
    levels: Mapping[str, int]
    """How many draws, seeds and orders were crossed."""
    mean: Mean
    deviation: float
    """The standard deviation of a trial, all components together."""
    components: tuple[Component, ...]
    of_trials: Mapping[str, float]
    """The score of each trial, by its name."""
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
    """All methods on one number of shots, the best on average first."""

    shots: Shots
    majority: float | None
    methods: tuple[Stability, ...]
    reliability: float | None
    """Share of all variance, of methods and of trials, that lies between methods with the same trials as the reference;
    None where there are no two."""


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
    chosen = {name: found for name, found in chosen.items() if found}
    placed = {name: _grid(comparison, found) for name, found in chosen.items()}
    scored = {name: _scores(comparison, name, found) for name, found in chosen.items()}
    grids = {name: in_cells(scored[name].of_trials, cells, levels) for name, (levels, cells) in placed.items()}
    reference = grids.get(comparison.reference)
    of_trials = {name: dict(zip(chosen[name], scored[name].of_trials, strict=True)) for name in chosen}
    found = [
        _stability(name, grids[name], levels, scored[name], of_trials[name], reference)
        for name, (levels, _) in placed.items()
    ]
    majority = next(iter(scored.values())).majority
    return Study(shots, majority, tuple(sorted(found, key=lambda one: -one.mean.value)), _reliability(grids, reference))


def _reliability(grids: Mapping[str, Floats], reference: Floats | None) -> float | None:
    if reference is None:
        return None
    alike = [grid for grid in grids.values() if grid.shape == reference.shape and _is_trained(grid)]
    if len(alike) < 2:
        return None
    apart = variance_components(np.stack(alike), ("method", *FACTORS))
    return next(one.share for one in apart if one.factors == ("method",))


def _is_trained(grid: Floats) -> bool:
    """Return whether trials of one draw differ: where nothing is drawn in training, seeds are no trials."""
    return grid.shape[1:] == (1, 1) or bool(np.ptp(grid.reshape(grid.shape[0], -1), axis=1).max() > 0)


def _grid(comparison: Comparison, names: Sequence[str]) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """Return how many levels each factor has, and the cell of each trial.

    Raises:
        RunError: A cell is empty.
    """
    levels, cells = trial_cells(names)
    if not is_crossed(names, levels):
        raise RunError(
            f"{comparison.folder}: {len(names)} trials are not all draws with all seeds and orders "
            f"({' × '.join(str(count) for count in levels.values())}); run the study again to its end"
        )
    return levels, cells


@dataclass(frozen=True)
class _Scored:
    """A method's score of each trial, the mean of all on ``R`` resamples of so many groups, and the majority score."""

    of_trials: list[float]
    resampled: Floats
    groups: int
    majority: float | None
    ends: Ends | None
    """The lowest and the highest score that there can be."""


def _scores(comparison: Comparison, method: str, trials: Sequence[str]) -> _Scored:
    data = comparison.about["data"]
    made = formula_of(data)
    answers = [comparison.answers(method, trials, code) for code in shared_languages(comparison)]
    drawn = resample_jointly([[group for _, group, _ in tested] for _, tested in answers])
    by_language = np.array([values_of(made, counts) for counts, _ in answers])  # [languages, U]
    resampled = [one.metric(made, counts) for one, (counts, _) in zip(drawn, answers, strict=True)]
    metric = metrics_of(data)[0]
    shares = [score_of_majority([gold for _, _, gold in tested], metric) for _, tested in answers]
    return _Scored(
        [float(score) for score in by_language.mean(0)],
        np.asarray(np.mean(resampled, axis=0)),
        min(one.groups for one in drawn),
        float(np.mean(shares)) if has_classes(data) else None,
        comparison.unit.ends,
    )


def _stability(
    name: str,
    grid: Floats,
    levels: Mapping[str, int],
    scored: _Scored,
    of_trials: Mapping[str, float],
    reference: Floats | None,
) -> Stability:
    of_examples = variance_of_groups(scored.resampled, scored.groups, scored.ends)
    factors = tuple(levels)
    components = tuple(variance_components(grid, factors)) if grid.size > 1 else ()
    mean = mean_of_method(grid, factors, of_examples=of_examples, groups=scored.groups)
    now, majority = of_examples + _error(components, levels), scored.majority
    return Stability(
        name=name,
        levels=levels,
        mean=mean,
        deviation=sqrt(sum(one.variance for one in components)),
        components=components,
        of_trials=of_trials,
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
