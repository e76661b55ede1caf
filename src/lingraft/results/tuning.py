"""What a search of settings found: how each scores on the source language's development set, beside the recipe's own.

All combinations answer the same development examples, so their differences have intervals, paired by example. The best
of many looks better than it is: its p-value is corrected for how many were tried (Holm, 1979), and settings are called
better only where both the interval and that agree. The module imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import RunError
from ..core.files import Row, read_object
from ..core.outside import refuse_links
from ..core.written_recipe import read_notes
from .development import Asked, read_development
from .findings import Estimate, formula_of, metrics_of
from .method_schemas import TUNING
from .metrics import Formula, values_of
from .resampling import Floats, Resampling, resample
from .run_files import read_mark
from .statistics import LEVEL, Difference, Ends, difference, holm, interval_of_groups, resamples_for
from .units import Unit, unit_of

FACTS = "tuning.json"
"""What was tried, in the folder of a search."""

PAGE = "tune.md"


@dataclass(frozen=True)
class Tried:
    """A combination of settings; where it failed it has no score, and ``error`` says why."""

    name: str
    own: bool
    values: Mapping[str, str | bool | int | float | None]
    seconds: float
    error: str | None
    score: Estimate | None = None
    difference: Difference | None = None
    """This less the recipe's own settings; None for these, where they failed, and where all examples are one group."""
    p_value: float | None = None
    """That of the difference, corrected for how many were tried."""

    @property
    def clearly_better(self) -> bool:
        """Whether it is better than the recipe's own by more than chance and choice explain."""
        apart, p_value = self.difference, self.p_value
        return apart is not None and p_value is not None and apart.low > 0 and p_value < LEVEL


@dataclass(frozen=True)
class Tuned:
    """All that was tried, the best first and what failed last."""

    about: Row
    """The content of ``tuning.json``."""
    tried: tuple[Tried, ...]
    examples: int
    resolution: float
    """How fine the corrected p-values are."""
    notes: tuple[str, ...] = ()
    """Remarks of the recipe, in Markdown."""

    @property
    def best(self) -> Tried:
        """The highest score; of equals the recipe's own, or what was tried first."""
        return self.tried[0]

    @property
    def own(self) -> Tried | None:
        """The recipe's own settings; None before they were tried."""
        return next((one for one in self.tried if one.own), None)

    @property
    def unit(self) -> Unit:
        """How scores are written."""
        return unit_of(metrics_of(self.about["data"])[0])


def read_tuning(folder: Path) -> Tuned:
    """Read the folder of a search.

    Raises:
        RunError: There is none, or a trial is not as it was left.
    """
    refuse_links(folder)
    read_mark(folder)
    about = read_object(folder / FACTS, TUNING)
    if not about:
        raise RunError(f"{folder} holds no search of settings; start one with: lingraft tune RECIPE")
    tried = [
        Tried(one["name"], one["own"], one["values"], one.get("seconds", 0.0), one.get("error"))
        for one in about["trials"]
    ]
    finished = [one for one in tried if one.error is None]
    answers = {one.name: _answers(folder, one.name, about["units"]) for one in finished}
    asked = {examples for _, examples in answers.values()}
    if len(asked) != 1:
        raise RunError(
            f"{folder}: not all trials were scored on the same development examples; the files of the task have "
            "changed in between: delete the folder and tune anew"
        )
    groups = [group for _, group in asked.pop()]
    drawn = resample(groups, resamples=resamples_for(len(finished)))
    tables = {name: table for name, (table, _) in answers.items()}
    ends = unit_of(metrics_of(about["data"])[0]).ends
    scored = _scored(finished, tables, drawn, formula_of(about["data"]), ends)
    ordered = sorted(scored, key=lambda one: (-_value(one), not one.own, one.name))
    resolution = 2 * max(1, len(finished) - 1) / (len(drawn.times) + 1)
    every = (*ordered, *(one for one in tried if one.error is not None))
    return Tuned(about, every, len(groups), resolution, read_notes(folder))


def _value(one: Tried) -> float:
    return one.score.value if one.score else 0.0


def _answers(folder: Path, name: str, units: list[str]) -> tuple[Floats, Asked]:
    found = read_development(folder / name, units)
    if found is None:
        raise RunError(f"{folder / name} is not as it was left; delete {folder} and tune anew")
    return found


def _scored(
    tried: list[Tried], tables: Mapping[str, Floats], drawn: Resampling, made: Formula, ends: Ends | None
) -> list[Tried]:
    """Return what was tried with scores, and with differences to the recipe's own, where these have a score."""
    own = next((one.name for one in tried if one.own), None)
    base = drawn.metric(made, tables[own]) if own else None
    found = []
    for one in tried:
        value, resampled = float(values_of(made, tables[one.name]).mean()), drawn.metric(made, tables[one.name])
        bounds = interval_of_groups(resampled, drawn.groups, ends) if drawn.groups > 1 else (None, None)
        apart = None
        if own is not None and base is not None and one.name != own and drawn.groups > 1:
            less = float(values_of(made, tables[own]).mean())
            apart = difference(value - less, resampled - base, drawn.groups, ends)
        found.append(replace(one, score=Estimate(value, *bounds), difference=apart))
    compared = [one for one in found if one.difference is not None]
    corrected = holm([one.difference.p_value for one in compared if one.difference is not None])
    p_values = {one.name: p_value for one, p_value in zip(compared, corrected, strict=True)}
    return [replace(one, p_value=p_values.get(one.name)) for one in found]
