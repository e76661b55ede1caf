"""Which language to transfer from: candidates ranked by what is known before training, and how far that is right.

What is measured of a candidate looks at no test label; only where a target has some is it said what the frozen head of
each candidate really scores there, and how each measure goes along with that. The module imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import atanh, sqrt, tanh
from typing import Any

import numpy as np
from scipy.stats import rankdata
from scipy.stats import t as student

from .findings import Estimate
from .schemas import FORMAT
from .statistics import LEVEL, Difference
from .units import Unit, unit_of

LESS_IS_BETTER = frozenset({"genetic", "geographic", "syntactic"})
"""Measures that are distances."""

FEWEST = 5
"""Candidates, from which on a rank correlation has an interval that says anything."""


@dataclass(frozen=True)
class Candidate:
    """A language to transfer from, seen from one target."""

    language: str
    name: str
    labels: int
    """Labelled examples that are learnt from."""
    measures: Mapping[str, float]
    """Those that it has, by name."""
    score: Estimate | None = None
    """What its frozen head scores on the target's test set; None where that has no labels."""
    ahead: Difference | None = None
    """That, less the score of the recipe's own source language, paired by example."""
    place: float = 0.0
    """The mean of its ranks in the measures that are ranked by; 1 is the best that there can be."""


@dataclass(frozen=True)
class Correlation:
    """Spearman's, of a measure (a distance with its sign turned) with the true score over candidates."""

    value: float
    low: float | None
    high: float | None
    first: str
    """The name of the candidate that the measure puts first."""
    lost: float
    """By how much the score of that candidate is below the best."""


@dataclass(frozen=True)
class Joint:
    """Several sources at once: what the frozen head of all their labels scores."""

    languages: tuple[str, ...]
    score: Estimate
    ahead: Difference | None


@dataclass(frozen=True)
class Ranking:
    """The candidates of one target, best first."""

    language: str
    name: str
    candidates: tuple[Candidate, ...]
    ranked_by: tuple[str, ...]
    correlations: Mapping[str, Correlation] = field(default_factory=dict)
    """By measure, and of the mean rank; empty where the target's test set has no labels."""
    joint: tuple[Joint, ...] = ()


@dataclass(frozen=True)
class SourceChoice:
    """What was found for all targets of a recipe."""

    task: str
    metric: str
    source: str
    """The recipe's own source language."""
    rankings: tuple[Ranking, ...]
    offered: tuple[str, ...]
    """The first ones over all targets, for the recipe; its own before them where its files are bound to that."""
    names: Mapping[str, str]
    left_out: Mapping[str, str]
    """Candidates that cannot be learnt from, with the reason."""
    notes: tuple[str, ...] = ()
    """What was not measured, and why."""
    revision: str = ""
    remarks: tuple[str, ...] = ()
    """Of the recipe, in Markdown."""

    @property
    def unit(self) -> Unit:
        """How true scores are written."""
        return unit_of(self.metric)


MEAN_RANK = "mean rank"


def rank_candidates(language: str, name: str, candidates: Sequence[Candidate], rank_by: Sequence[str]) -> Ranking:
    """Order the candidates of a target by their mean rank.

    Args:
        language: The target.
        name: What it is called.
        candidates: In any order; equal ones stay in it.
        rank_by: Measures to rank by; see the setting of the same name.
    """
    every = [one for one in _names(candidates) if all(one in candidate.measures for candidate in candidates)]
    used = [one for one in rank_by if one in every] or every
    ranks = ranks_of(candidates, used)
    places = np.mean([*ranks.values()], axis=0) if ranks else np.zeros(len(candidates))
    placed = [replace(one, place=float(place)) for one, place in zip(candidates, places, strict=True)]
    placed.sort(key=lambda one: one.place)
    return Ranking(language, name, tuple(placed), tuple(used), _correlations(placed, every, used))


def ranks_of(candidates: Sequence[Candidate], measures: Sequence[str]) -> dict[str, list[float]]:
    """Return by measure the ranks of candidates, ``[N]`` each, 1 being first; ties share theirs.

    Args:
        candidates: All of a target.
        measures: Those that every candidate has.
    """
    return {one: rankdata([-value for value in _values(one, candidates)]).tolist() for one in measures}


def first_overall(rankings: Sequence[Ranking]) -> list[str]:
    """Return the candidates by their mean place over all targets, the best first."""
    places: dict[str, list[float]] = {}
    for ranking in rankings:
        for one in ranking.candidates:
            places.setdefault(one.language, []).append(one.place)
    return sorted(places, key=lambda code: float(np.mean(places[code])))


def spearman(x: Sequence[float], y: Sequence[float]) -> tuple[float, float | None, float | None] | None:
    """Return Spearman's rank correlation of ``[N]`` and ``[N]`` with a 95 % interval; None where one does not vary.

    The interval is Bonett and Wright's (2000) on Fisher's scale, with Student's quantile for so few, and the
    correlation held at least ``1 / N`` away from 1, where that scale has no end. It is wide: of 5 to 20 normal
    pairs it holds the true value at least as often as it says. There is none for fewer than ``FEWEST``.
    """
    n, ranks = len(x), np.array([rankdata(x), rankdata(y)])
    if n < 3 or not all(ranks.std(axis=1)):
        return None
    value = float(np.corrcoef(ranks)[0, 1])
    if n < FEWEST:
        return value, None, None
    held = float(np.clip(value, -1 + 1 / n, 1 - 1 / n))
    margin = float(student.ppf(1 - LEVEL / 2, n - 2)) * sqrt((1 + held**2 / 2) / (n - 3))
    return value, min(value, tanh(atanh(held) - margin)), max(value, tanh(atanh(held) + margin))


def _correlations(
    candidates: Sequence[Candidate], measures: Sequence[str], used: Sequence[str]
) -> dict[str, Correlation]:
    scores = [one.score.value for one in candidates if one.score is not None]
    if len(scores) < len(candidates):
        return {}
    values = {one: _values(one, candidates) for one in measures}
    if len(used) > 1:
        values[MEAN_RANK] = [-one.place for one in candidates]
    found = {}
    for name, of in values.items():
        if (correlation := spearman(of, scores)) is not None:
            first = int(np.argmax(of))
            found[name] = Correlation(*correlation, candidates[first].name, max(scores) - scores[first])
    return found


def _names(candidates: Sequence[Candidate]) -> list[str]:
    return list(dict.fromkeys(name for one in candidates for name in one.measures))


def _values(measure: str, candidates: Sequence[Candidate]) -> list[float]:
    """Return a measure of each candidate, more being better."""
    sign = -1 if measure in LESS_IS_BETTER else 1
    return [sign * one.measures[measure] for one in candidates]


def as_plain(found: SourceChoice) -> dict[str, Any]:
    """Return what was found as plain data, for ``sources.json``."""
    return {"format": FORMAT, **asdict(found)}
