"""The tables of experiments, from what they found: of a comparison, of a stability study, of a curve over labels.

Scores are in the unit of their metric where people read them, and as they are as values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .comparison import Block, Comparison, Result
from .findings import Estimate
from .shot_curve import ShotCurve
from .source_comparison import SourceScore
from .stability import Stability, Study
from .statistics import Difference
from .tables import Cell, Column, Table, name_cell
from .trial_variance import Mean
from .units import PERCENT, Unit
from .wording import count, describe_shots, duration, p_value, plural
from .words import words_of

METHOD = Column("method", ("method",), "code")


def bounded(key: str) -> tuple[str, str, str]:
    """Return the keys of a number with its interval."""
    return key, f"{key}_low", f"{key}_high"


# ---- A comparison ----------------------------------------------------------------------------------

COMPARED = (
    METHOD,
    Column("mean", bounded("mean")),
    Column("worst language", ("worst", "worst_language"), "text"),
    Column("difference", bounded("difference")),
    Column("p", ("p",)),
    Column("trained", ("trained_parameters",)),
    Column("steps", ("steps",)),
    Column("time", ("seconds",)),
    Column("memory", ("memory_bytes",)),
)


def comparison_table(block: Block, comparison: Comparison) -> Table:
    """Return the main table of a block, best method first."""
    ours = next((result for result in block.results if result.name == comparison.reference), None)
    return Table(
        COMPARED,
        tuple(_compared(result, ours, block, comparison) for result in block.results),
        describe_block(block, comparison),
        {"shots": block.shots, "trials": len(block.trials), "test_examples": block.examples},
    )


def describe_block(block: Block, comparison: Comparison) -> str:
    """Say what the methods of a block have in common: shots, where, how many trials."""
    data = comparison.about["data"]
    where = "the target language" if data["target_languages"] else comparison.language(comparison.targets[0])
    shots = describe_shots(block.shots, words_of(data))
    return f"{shots} in {where}: {plural(len(block.trials), 'trial')} a method"


def _compared(result: Result, ours: Result | None, block: Block, comparison: Comparison) -> tuple[Cell, ...]:
    worst, memory = comparison.language(result.worst), result.method["peak_bytes"]
    lowest, mean, unit = result.languages[result.worst].value, result.mean, comparison.unit
    apart, parameters = result.difference, result.method["trainable_parameters"]
    return (
        name_cell(result.name),
        Cell(f"{unit.write(mean.value, 1)} {_bounds(mean, unit)}", _values(mean)),
        Cell(f"{worst} {unit.number(lowest, 1)}", (lowest, worst)),
        Cell(points_apart(result, ours, unit=unit), (apart.mean, apart.low, apart.high)) if apart else Cell(),
        Cell(p_value(result.p_value, block.resolution), (result.p_value,)) if result.p_value is not None else Cell(),
        Cell(count(parameters), (parameters,)),
        Cell("–" if result.steps is None else f"{result.steps:,.0f}", (result.steps,)),
        Cell(duration(result.seconds), (result.seconds,)),
        Cell("–" if memory is None else f"{memory / 1e9:.2f} GB", (memory,)),
    )


def points_apart(
    result: Result,
    ours: Result | None,
    bounds: Difference | Mean | None = None,
    *,
    sign: bool = True,
    unit: Unit = PERCENT,
) -> str:
    """Return the difference of two means, rounded once, and its interval: ``+1.2 [+0.3, +2.1]``.

    Args:
        result: Of a method.
        ours: Of the reference.
        bounds: What has the interval; by default the difference on these trainings.
        sign: Whether a plus is written.
        unit: Of scores.
    """
    if (bounds := bounds or result.difference) is None or ours is None:
        return ""
    mean = unit.apart(ours.mean.value, result.mean.value, 1, plus=sign)
    return f"{mean} {_bounds(bounds, unit, plus=sign)}"


def languages_table(block: Block, comparison: Comparison) -> Table:
    """Return the score of each method in each language."""
    columns = [Column(comparison.language(code), bounded(code)) for code in block.languages]
    rows = [
        (name_cell(r.name), *(scored(r.languages[code], comparison.unit, interval=False) for code in block.languages))
        for r in block.results
    ]
    return Table((METHOD, *columns), tuple(rows), describe_block(block, comparison))


def reach_table(block: Block, unit: Unit) -> Table:
    """Return how far the differences reach: the same trainings, other trials, other languages; no rows of one of each.

    The column of what can not be said is left out.
    """
    found = [(one, one.reach, one.difference) for one in block.results if one.reach and one.difference]
    trials, languages = any(one.trials for _, one, _ in found), any(one.languages for _, one, _ in found)
    columns = [METHOD, Column("these trainings", bounded("difference"))]
    columns += [Column("other draws and seeds", bounded("trials"))] * trials
    columns += [Column("other languages, too", bounded("languages"))] * languages
    rows, ours = [], next((one for one in block.results if one.difference is None), None)
    for result, one, shown in found if trials or languages else []:
        claims = [shown, *([one.trials] * trials), *([one.languages] * languages)]
        cells = [_claim(result, ours, claim, unit) if claim else Cell() for claim in claims]
        rows.append((name_cell(result.name), *cells, Cell(unit.number(one.seen, 1), (one.seen,))))
    return Table((*columns, Column("could be seen", ("could_be_seen",))), tuple(rows))


def _claim(result: Result, ours: Result | None, claim: Difference | Mean, unit: Unit) -> Cell:
    """Return the difference of two means, rounded as everywhere, with the bounds of a claim about it."""
    mean = claim.mean if isinstance(claim, Difference) else claim.value
    return Cell(points_apart(result, ours, claim, unit=unit), (mean, claim.low, claim.high))


def source_table(found: Sequence[SourceScore], unit: Unit) -> Table:
    """Return what methods keep of the source language, and the difference to the reference where there is one."""
    columns = [METHOD, Column("development score", bounded("development"))]
    compared = any(one.difference for one in found)
    columns += [Column("difference", bounded("difference"))] if compared else []
    rows = [(name_cell(one.name), scored(one.mean, unit), scored_apart(one.difference, unit)) for one in found]
    return Table(tuple(columns), tuple(row[: len(columns)] for row in rows))


# ---- A stability study -----------------------------------------------------------------------------

PLURALS = {"draw": "draws", "seed": "seeds", "order": "orders"}

STABLE = (
    METHOD,
    Column("trials", ("trials",), "text"),
    Column("mean", bounded("mean")),
    Column("worst trial", ("worst",)),
    Column("best", ("best",)),
    Column("middle", ("interquartile_mean",)),
    Column("standard deviation", ("standard_deviation",)),
    Column("failed", ("failed",)),
    Column("ours better", ("ours_better",)),
)


def stability_table(study: Study, unit: Unit, title: str = "") -> Table:
    """Return the main table of a study, the best on average first."""
    rows = tuple(_stable(one, unit) for one in study.methods)
    return Table(STABLE, rows, title, {"shots": study.shots})


def _stable(one: Stability, unit: Unit) -> tuple[Cell, ...]:
    crossed = " × ".join(plural(levels, factor) for factor, levels in one.levels.items() if levels > 1) or "1 trial"
    mean = Estimate(one.mean.value, one.mean.low, one.mean.high)
    return (
        name_cell(one.name),
        Cell(crossed, (len(one.of_trials),)),
        scored(mean, unit),
        *(Cell(unit.number(value, 1), (value,)) for value in (one.worst, one.best, one.interquartile)),
        Cell(unit.number(one.deviation, 2), (one.deviation,)) if one.components else Cell(),
        Cell() if one.failures is None else Cell(f"{one.failures:.0%}", (one.failures,)),
        Cell() if one.better is None else Cell(f"{one.better:.2f}", (one.better,)),
    )


def components_table(study: Study, unit: Unit) -> Table:
    """Return for each method the standard deviation that each set of factors causes, and its share of the variance."""
    there = {part.factors for one in study.methods for part in one.components}
    every = sorted(there, key=lambda factors: (len(factors), [list(PLURALS).index(name) for name in factors]))
    columns = [Column(describe_factors(each), ("_".join(each), f"{'_'.join(each)}_share")) for each in every]
    rows = []
    for one in study.methods:
        parts = {part.factors: part for part in one.components}
        told = {
            each: Cell(f"{unit.number(part.deviation, 2)} ({part.share:.0%})", (part.deviation, part.share))
            for each, part in parts.items()
        }
        rows.append((name_cell(one.name), *(told.get(each, Cell()) for each in every)))
    return Table((METHOD, *columns), tuple(rows))


def describe_factors(factors: Sequence[str]) -> str:
    """Name one factor, or an interaction: ``draws × seeds``."""
    return " × ".join(PLURALS[name] for name in factors)


def more_table(study: Study, unit: Unit) -> Table:
    """Return for each method the standard error now, and with one draw, one seed or one order more."""
    factors = [name for name in PLURALS if any(name in one.more for one in study.methods)]
    columns = [
        METHOD,
        Column("standard error now", ("error",)),
        *(Column(f"one {name} more", (f"error_{name}",)) for name in factors),
        Column("examples alone", ("error_examples",)),
    ]

    def cells(values: Mapping[str, float], keys: Sequence[str]) -> list[Cell]:
        return [Cell(unit.number(values[key], 2), (values[key],)) if key in values else Cell() for key in keys]

    rows = []
    for one in study.methods:
        values = {"now": one.mean.error, "examples": one.of_examples, **one.more}
        rows.append((name_cell(one.name), *cells(values, ["now", *factors, "examples"])))
    return Table(tuple(columns), tuple(rows))


# ---- A curve over labels ---------------------------------------------------------------------------


def curve_table(found: ShotCurve, unit: Unit) -> Table:
    """Return the score of each method with each number of labels."""
    columns = [Column(str(shots), bounded(f"k{shots}")) for shots in found.shots]
    rows = [(name_cell(one.name), *(scored(point, unit) for point in one.points.values())) for one in found.curves]
    return Table((METHOD, *columns), tuple(rows))


def ahead_table(found: ShotCurve, unit: Unit) -> Table:
    """Return by how much the reference is above each method, with each number of labels."""
    columns = [Column(str(shots), bounded(f"k{shots}")) for shots in found.shots]
    rows = [
        (name_cell(one.name), *(scored_apart(apart, unit) for apart in one.ahead.values()))
        for one in found.curves
        if one.ahead
    ]
    return Table((METHOD, *columns), tuple(rows))


# ---- Numbers ---------------------------------------------------------------------------------------


def _bounds(estimate: Estimate | Difference | Mean, unit: Unit, *, plus: bool = False) -> str:
    low, high = (unit.number(end or 0.0, 1, plus=plus) for end in (estimate.low, estimate.high))
    return f"[{low}, {high}]"


def _values(estimate: Estimate) -> tuple[float | None, ...]:
    return estimate.value, estimate.low, estimate.high


def scored(estimate: Estimate, unit: Unit, *, interval: bool = True, plus: bool = False) -> Cell:
    """Return the cell of a score, with its interval where that is known: ``64.7 [60.1, 69.0]``."""
    number = unit.number(estimate.value, 1, plus=plus)
    known = interval and estimate.low is not None
    return Cell(f"{number} {_bounds(estimate, unit, plus=plus)}" if known else number, _values(estimate))


def scored_apart(apart: Difference | Estimate | None, unit: Unit) -> Cell:
    """Return the cell of a difference of scores, which is empty where there is none: ``+1.2 [+0.3, +2.1]``."""
    if apart is None:
        return Cell()
    value = apart.mean if isinstance(apart, Difference) else apart.value
    return scored(Estimate(value, apart.low, apart.high), unit, plus=True)
