"""The HTML reports of experiments that are comparisons: of methods, of trials, over numbers of labels.

They are put together of the same records, tables and sentences as their Markdown pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core.shots import TRIAL
from .. import experiment_charts as charts
from .. import experiment_tables as tables
from ..comparison import Block, Comparison
from ..findings import Estimate, metrics_of
from ..revisions import describe_revisions
from ..shot_curve import ShotCurve
from ..source_comparison import source_scores
from ..stability import Study
from ..tables import Table
from ..wording import metric_name, plural
from ..words import words_of
from . import comparison_markdown, shot_curve_markdown, stability_markdown
from .escaping import markdown_text
from .experiment_page import Chart, Report, Section


def _report(
    name: str,
    title: str,
    findings: Sequence[str],
    sections: Sequence[Section],
    main: Sequence[Table],
    comparison: Comparison,
) -> Report:
    """Return a report with what those of all experiments on a comparison have in common."""
    return Report(
        name,
        title,
        findings,
        sections,
        main,
        task=comparison.about["data"]["task"],
        languages=[comparison.language(code) for code in comparison.targets],
        revisions=[line for line in describe_revisions(comparison.folder) if line],
        remarks=comparison.notes,
    )


# ---- A comparison ----------------------------------------------------------------------------------


def comparison_report(found: Sequence[Block], comparison: Comparison) -> Report:
    """Return the report of a comparison; arguments are those of its Markdown page."""
    sections = [section for block in found for section in _of_block(block, found, comparison)]
    return _report(
        "compare",
        comparison_markdown.title(comparison),
        comparison_markdown.comparison_findings(found, comparison),
        [*sections, _methods(comparison)],
        [tables.comparison_table(block, comparison) for block in found],
        comparison,
    )


def _of_block(block: Block, found: Sequence[Block], comparison: Comparison) -> list[Section]:
    title, several = comparison_markdown.heading(block, found, comparison), len(block.trials) > 1
    bars = [charts.Bar(r.name, r.mean, list(r.of_trials.values()) if several else ()) for r in block.results]
    drawn = [_intervals("Mean over languages", bars, comparison)]
    if several:
        drawn.append(_all_trials({result.name: result.of_trials for result in block.results}, comparison))
    table, said = tables.comparison_table(block, comparison), comparison_markdown.describe_numbers(block)
    return [
        Section("Methods compared", title, drawn, [table], [said]),
        _each_language(block, title, comparison),
        *_reach(block, title, comparison),
        *_source(block, title, comparison),
    ]


def _each_language(block: Block, title: str, comparison: Comparison) -> Section:
    drawn = [
        _intervals(
            comparison.language(code), [charts.Bar(r.name, r.languages[code]) for r in block.results], comparison
        )
        for code in block.languages
    ]
    table = tables.languages_table(block, comparison)
    return Section("Each language", f"Each language, {title}", drawn, [table], folded=True)


def _reach(block: Block, title: str, comparison: Comparison) -> list[Section]:
    table, said = tables.reach_table(block, comparison.unit), comparison_markdown.describe_reach(block, comparison)
    return (
        [Section("Reach", f"How far differences reach, {title}", (), [table], [said], folded=True)]
        if table.rows
        else []
    )


def _source(block: Block, title: str, comparison: Comparison) -> list[Section]:
    found = source_scores(comparison, block)
    if not found:
        return []
    said = comparison_markdown.describe_source(found, comparison)
    table = tables.source_table(found, comparison.unit)
    return [Section("Source", f"The source language, {title}", (), [table], [said], folded=True)]


def _intervals(caption: str, bars: Sequence[charts.Bar], comparison: Comparison, always: float | None = None) -> Chart:
    metric = metric_name(metrics_of(comparison.about["data"])[0])
    said = f"{caption}: {metric} of {plural(len(bars), 'method')} with 95 % intervals"
    dots = "; small dots are trials" if any(bar.trials for bar in bars) else ""
    line = "; dashed: always the most frequent class" if always is not None else ""
    return Chart(
        charts.intervals(bars, comparison.reference, said, always, comparison.unit),
        f"{markdown_text(caption)}, {metric} {comparison.unit.scale}{dots}{line}",
    )


def _all_trials(trials: Mapping[str, Mapping[str, float]], comparison: Comparison) -> Chart:
    """Draw the trials of methods, sorted."""
    placed = [
        charts.Placed(score, {"method": method, **_made_of(trial)})
        for method, scores in trials.items()
        for trial, score in scores.items()
    ]
    said = f"{plural(len(placed), 'trial')}, sorted by score; marks below say what each was made of"
    chart = charts.specification_curve(placed, comparison.reference, said, comparison.unit)
    return Chart(chart, f"{said} (a specification curve)")


def _made_of(trial: str) -> dict[str, str]:
    """Return what a trial's name says, as people count: draws from 1."""
    hit = TRIAL.fullmatch(trial)
    parts = {name: value for name, value in hit.groupdict().items() if value is not None} if hit else {}
    return parts | ({"draw": str(int(parts["draw"]) + 1)} if "draw" in parts else {})


def _methods(comparison: Comparison) -> Section:
    said = [comparison_markdown.describe_columns(comparison), *comparison_markdown.describe_methods(comparison)]
    return Section(
        "Methods", "What was compared, and how to read the tables", notes=["\n".join([said[0], "", *said[1:]])]
    )


def _as_compared(found: Sequence[Block], comparison: Comparison) -> list[Section]:
    """Return the tables of a comparison, folded away, for another experiment on it: differences and costs."""
    return [
        *(
            Section(
                "Methods compared",
                f"As a comparison: {comparison_markdown.heading(block, found, comparison)}",
                tables=[tables.comparison_table(block, comparison), tables.languages_table(block, comparison)],
                notes=[comparison_markdown.describe_numbers(block)],
                folded=True,
            )
            for block in found
        ),
        _methods(comparison),
    ]


# ---- A stability study -----------------------------------------------------------------------------


def stability_report(studies: Sequence[Study], found: Sequence[Block], comparison: Comparison) -> Report:
    """Return the report of a stability study.

    Args:
        studies: One for each number of shots.
        found: What its trials say as a comparison.
        comparison: What was run.
    """
    sections = [section for study in studies for section in _of_study(study, comparison)]
    return _report(
        "stability",
        stability_markdown.title(comparison),
        [stability_markdown.stability_finding(study, comparison) for study in studies],
        [*sections, *_as_compared(found, comparison)],
        [
            tables.stability_table(study, comparison.unit, stability_markdown.heading(study, comparison))
            for study in studies
        ],
        comparison,
    )


def _of_study(study: Study, comparison: Comparison) -> list[Section]:
    title, unit = stability_markdown.heading(study, comparison), comparison.unit
    bars = [
        charts.Bar(one.name, Estimate(one.mean.value, one.mean.low, one.mean.high), list(one.of_trials.values()))
        for one in study.methods
    ]
    spread = [(one.name, one.deviation, one.components) for one in study.methods if one.components]
    said = f"The standard deviation of a trial, {unit.steps}, and the share of each cause in the variance"
    bounds = stability_markdown.describe_bounds(study, unit)
    return [
        Section(
            "Means and trials",
            title,
            [_intervals("Mean of all trials", bars, comparison, study.majority)],
            [tables.stability_table(study, unit)],
            [stability_markdown.describe_columns(comparison), *bounds],
        ),
        Section(
            title,
            "What the spread comes from",
            [Chart(charts.spread_bars(spread, said, unit), said)] if spread else [],
            [tables.components_table(study, unit)],
            [stability_markdown.describe_components(unit)],
        ),
        Section(title, "What more trials would buy", tables=[tables.more_table(study, unit)]),
        Section(title, "All trials", [_all_trials({one.name: one.of_trials for one in study.methods}, comparison)]),
    ]


# ---- A curve over labels ---------------------------------------------------------------------------


def shot_curve_report(curve: ShotCurve, found: Sequence[Block], comparison: Comparison) -> Report:
    """Return the report of a curve over labels.

    Args:
        curve: The curve.
        found: What its trials say as a comparison.
        comparison: What was run.
    """
    main, said = tables.curve_table(curve, comparison.unit), shot_curve_markdown.describe_columns(comparison)
    trials = {one.name: one.of_trials for one in curve.curves}
    return _report(
        "shots",
        shot_curve_markdown.title(comparison),
        list(shot_curve_markdown.findings(curve, comparison)),
        [
            Section("Curves", f"By {words_of(comparison.about['data']).shots_title.lower()}",
                    _curves(curve, comparison), [main], [said]),
            Section("Differences", shot_curve_markdown.ahead_title(comparison), (),
                    [tables.ahead_table(curve, comparison.unit)]),
            Section("Trials", "All trials", [_all_trials(trials, comparison)]),
            *_as_compared(found, comparison),
        ],
        [main],
        comparison,
    )  # fmt: skip


def _curves(curve: ShotCurve, comparison: Comparison) -> list[Chart]:
    """Draw each method's curve, all on one scale, before that of the reference."""
    ours = next((one.points for one in curve.curves if one.name == comparison.reference), {})
    ends = [
        end for one in curve.curves for point in one.points.values() for end in (point.value, point.low, point.high)
    ]
    frame = [end for end in ends if end is not None]
    return [
        Chart(
            charts.learning_curve(one.name, one.points, comparison.reference, ours, frame, comparison.unit),
            f"`{one.name}`"
            + (f"; blue: `{comparison.reference}`" if ours and one.name != comparison.reference else ""),
        )
        for one in curve.curves
    ]
