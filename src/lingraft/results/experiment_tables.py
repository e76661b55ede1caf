"""The tables of experiments, from what they found: of a comparison, of a stability study, of a curve over labels.

Scores are in percent where people read them, and shares between 0 and 1 as values.
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
from .wording import count, describe_shots, difference, duration, p_value, percent, plural
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
    lowest, mean = result.languages[result.worst].value, result.mean
    apart, parameters = result.difference, result.method["trainable_parameters"]
    return (
        name_cell(result.name),
        Cell(f"{in_percent(mean.value)} % {_bounds(mean)}", _values(mean)),
        Cell(f"{worst} {in_percent(lowest)}", (lowest, worst)),
        Cell(points_apart(result, ours), (apart.mean, apart.low, apart.high)) if apart else Cell(),
        Cell(p_value(result.p_value, block.resolution), (result.p_value,)) if result.p_value is not None else Cell(),
        Cell(count(parameters), (parameters,)),
        Cell("–" if result.steps is None else f"{result.steps:,.0f}", (result.steps,)),
        Cell(duration(result.seconds), (result.seconds,)),
        Cell("–" if memory is None else f"{memory / 1e9:.2f} GB", (memory,)),
    )


def points_apart(
    result: Result, ours: Result | None, bounds: Difference | Mean | None = None, *, sign: bool = True
) -> str:
    """Return the difference of two means, rounded once, and its interval: ``+1.2 [+0.3, +2.1]``.

    Args:
        result: Of a method.
        ours: Of the reference.
        bounds: What has the interval; by default the difference on these trainings.
        sign: Whether a plus is written.
    """
    if (bounds := bounds or result.difference) is None or ours is None:
        return ""
    plus = "+" if sign else ""
    mean = difference(100 * ours.mean.value, 100 * result.mean.value, 1)
    return f"{mean:{plus}f} {_bounds(bounds, plus)}"


def languages_table(block: Block, comparison: Comparison) -> Table:
    """Return the score of each method in each language."""
    columns = [Column(comparison.language(code), bounded(code)) for code in block.languages]
    rows = [
        (name_cell(r.name), *(scored(r.languages[code], interval=False) for code in block.languages))
        for r in block.results
    ]
    return Table((METHOD, *columns), tuple(rows), describe_block(block, comparison))


def reach_table(block: Block) -> Table:
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
        cells = [_claim(result, ours, claim) if claim else Cell() for claim in claims]
        rows.append((name_cell(result.name), *cells, Cell(f"{100 * one.seen:.1f}", (one.seen,))))
    return Table((*columns, Column("could be seen", ("could_be_seen",))), tuple(rows))


def _claim(result: Result, ours: Result | None, claim: Difference | Mean) -> Cell:
    """Return the difference of two means, rounded as everywhere, with the bounds of a claim about it."""
    mean = claim.mean if isinstance(claim, Difference) else claim.value
    return Cell(points_apart(result, ours, claim), (mean, claim.low, claim.high))


def source_table(found: Sequence[SourceScore]) -> Table:
    """Return what methods keep of the source language, and the difference to the reference where there is one."""
    columns = [METHOD, Column("development score", bounded("development"))]
    compared = any(one.difference for one in found)
    columns += [Column("difference", bounded("difference"))] if compared else []
    rows = [
        (name_cell(one.name), scored(one.mean), scored(one.difference, sign="+") if one.difference else Cell())
        for one in found
    ]
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


def stability_table(study: Study, title: str = "") -> Table:
    """Return the main table of a study, the best on average first."""
    return Table(STABLE, tuple(map(_stable, study.methods)), title, {"shots": study.shots})


def _stable(one: Stability) -> tuple[Cell, ...]:
    crossed = " × ".join(plural(levels, factor) for factor, levels in one.levels.items() if levels > 1) or "1 trial"
    mean = Estimate(one.mean.value, one.mean.low, one.mean.high)
    return (
        name_cell(one.name),
        Cell(crossed, (len(one.of_trials),)),
        Cell(f"{in_percent(mean.value)} {_bounds(mean)}", _values(mean)),
        *(Cell(in_percent(value), (value,)) for value in (one.worst, one.best, one.interquartile)),
        Cell(in_points(one.deviation), (one.deviation,)) if one.components else Cell(),
        Cell() if one.failures is None else Cell(f"{one.failures:.0%}", (one.failures,)),
        Cell() if one.better is None else Cell(f"{one.better:.2f}", (one.better,)),
    )


def components_table(study: Study) -> Table:
    """Return for each method the standard deviation that each set of factors causes, and its share of the variance."""
    there = {part.factors for one in study.methods for part in one.components}
    every = sorted(there, key=lambda factors: (len(factors), [list(PLURALS).index(name) for name in factors]))
    columns = [Column(describe_factors(each), ("_".join(each), f"{'_'.join(each)}_share")) for each in every]
    rows = []
    for one in study.methods:
        parts = {part.factors: part for part in one.components}
        told = {
            each: Cell(f"{in_points(part.deviation)} ({part.share:.0%})", (part.deviation, part.share))
            for each, part in parts.items()
        }
        rows.append((name_cell(one.name), *(told.get(each, Cell()) for each in every)))
    return Table((METHOD, *columns), tuple(rows))


def describe_factors(factors: Sequence[str]) -> str:
    """Name one factor, or an interaction: ``draws × seeds``."""
    return " × ".join(PLURALS[name] for name in factors)


def more_table(study: Study) -> Table:
    """Return for each method the standard error now, and with one draw, one seed or one order more."""
    factors = [name for name in PLURALS if any(name in one.more for one in study.methods)]
    columns = [
        METHOD,
        Column("standard error now", ("error",)),
        *(Column(f"one {name} more", (f"error_{name}",)) for name in factors),
        Column("examples alone", ("error_examples",)),
    ]

    def cells(values: Mapping[str, float], keys: Sequence[str]) -> list[Cell]:
        return [Cell(in_points(values[key]), (values[key],)) if key in values else Cell() for key in keys]

    rows = []
    for one in study.methods:
        values = {"now": one.mean.error, "examples": one.of_examples, **one.more}
        rows.append((name_cell(one.name), *cells(values, ["now", *factors, "examples"])))
    return Table(tuple(columns), tuple(rows))


# ---- A curve over labels ---------------------------------------------------------------------------


def curve_table(found: ShotCurve) -> Table:
    """Return the score of each method with each number of labels."""
    columns = [Column(str(shots), bounded(f"k{shots}")) for shots in found.shots]
    rows = [(name_cell(one.name), *map(scored, one.points.values())) for one in found.curves]
    return Table((METHOD, *columns), tuple(rows))


def ahead_table(found: ShotCurve) -> Table:
    """Return by how much the reference is above each method, with each number of labels."""
    columns = [Column(str(shots), bounded(f"k{shots}")) for shots in found.shots]
    rows = [
        (
            name_cell(one.name),
            *(scored(Estimate(apart.mean, apart.low, apart.high), sign="+") for apart in one.ahead.values()),
        )
        for one in found.curves
        if one.ahead
    ]
    return Table((METHOD, *columns), tuple(rows))


# ---- Numbers ---------------------------------------------------------------------------------------


def in_percent(value: float) -> str:
    """Write a share in percent, without the sign: ``64.7``."""
    return percent(value, 1).partition("\u00a0")[0]


def in_points(value: float) -> str:
    """Write what is small beside a score: ``0.47``."""
    return f"{100 * value:.2f}"


def _bounds(estimate: Estimate | Difference | Mean, sign: str = "") -> str:
    return f"[{100 * (estimate.low or 0):{sign}.1f}, {100 * (estimate.high or 0):{sign}.1f}]"


def _values(estimate: Estimate) -> tuple[float | None, ...]:
    return estimate.value, estimate.low, estimate.high


def scored(estimate: Estimate, *, interval: bool = True, sign: str = "") -> Cell:
    """Return the cell of a share, in percent, with its interval where that is known: ``64.7 [60.1, 69.0]``."""
    number = f"{100 * estimate.value:{sign}.1f}"
    known = interval and estimate.low is not None
    return Cell(f"{number} {_bounds(estimate, sign)}" if known else number, _values(estimate))
