"""The page of a stability study: how good on average, how bad at worst, and what the spread comes from."""

from __future__ import annotations

from collections.abc import Sequence

from ..comparison import Comparison, shared_languages
from ..experiment_tables import components_table, more_table, stability_table
from ..findings import metrics_of
from ..revisions import describe_revisions
from ..stability import Stability, Study
from ..trial_summary import MARGIN
from ..units import Unit
from ..wording import capital, describe_shots, listed, metric_name
from ..words import words_of
from .escaping import code_span, describe_command, describe_notes, markdown_text
from .table_formats import markdown_table


def stability_page(studies: Sequence[Study], comparison: Comparison, *, command: str | None = None) -> str:
    """Return a study in Markdown; the first lines compare the spread of ours with that of the others.

    Args:
        studies: One for each number of shots.
        comparison: What was run.
        command: How the page came about; None where nobody knows.
    """
    lines = [f"# {title(comparison)}", ""]
    lines += [f"- {stability_finding(study, comparison)}" for study in studies]
    lines += ["", *describe_notes(comparison.notes)]
    lines += [*(describe_command(command) if command else []), ""]
    lines += describe_revisions(comparison.folder)
    lines.append(describe_columns(comparison))
    unit = comparison.unit
    for study in studies:
        lines += ["", f"## {heading(study, comparison)}", "", *markdown_table(stability_table(study, unit))]
        for said in describe_bounds(study, unit):
            lines += ["", said]
        lines += ["", "### What the spread comes from", "", *markdown_table(components_table(study, unit))]
        lines += ["", describe_components(unit)]
        lines += ["", "### What more trials would buy", "", *markdown_table(more_table(study, unit))]
    return "\n".join(lines) + "\n"


def describe_components(unit: Unit) -> str:
    """Say what the numbers of the table of components are."""
    return f"Standard deviation {unit.steps}, and the share of the variance of one trial."


def title(comparison: Comparison) -> str:
    """Name a study by its task."""
    return f"How much depends on chance: {markdown_text(comparison.about['data']['task'])}"


def heading(study: Study, comparison: Comparison) -> str:
    """Say how much was labelled in a study."""
    return capital(describe_shots(study.shots, words_of(comparison.about["data"])))


def describe_columns(comparison: Comparison) -> str:
    """Say what the columns of the main table are."""
    languages = listed([markdown_text(comparison.language(code)) for code in shared_languages(comparison)])
    metric, unit = capital(metric_name(metrics_of(comparison.about["data"])[0])), comparison.unit
    return (
        f"{metric}, mean of {languages}, {unit.scale}. Each draw of the labels is trained with each seed (and each "
        "order), so that the spread can be split by its cause: a "
        "random-effects analysis of variance, interactions named. Brackets: 95 % interval for other draws and seeds "
        "and other test examples together (Satterthwaite's degrees of freedom). *Failed*: at most "
        f"{unit.number(MARGIN)}{unit.points} above always giving the most frequent class. *Middle*: mean of the middle "
        "half of the trials. *Ours better*: how "
        f"probable it is that a trial of {code_span(comparison.reference)} is better than one of the method. What has "
        "one level of a factor says nothing of others."
    )


def stability_finding(study: Study, comparison: Comparison) -> str:
    """Say in a sentence how ours spreads beside the others, and whether any trial failed."""
    ours = next((one for one in study.methods if one.name == comparison.reference), None)
    said, unit = f"k = {study.shots}", comparison.unit
    if ours is None:
        return f"{said}: {code_span(comparison.reference)} is not among the methods."
    spread = {one.name: deviation for one in study.methods if (deviation := seed_deviation(one)) is not None}
    if ours.name not in spread:
        text = f"{said}: {code_span(ours.name)} has one seed, so nothing is said of seeds."
    else:
        beside = [f"{code_span(name)} {unit.number(value, 2)}" for name, value in spread.items() if name != ours.name]
        text = f"{said}: on the same labels {code_span(ours.name)} has a standard deviation of "
        text += f"{unit.number(spread[ours.name], 2)}{unit.points} over seeds"
        text += f"; {', '.join(beside)}." if beside else "."
    if ours.failures is not None:
        failed = [code_span(one.name) for one in study.methods if one.failures]
        text += f" Trials failed of {listed(failed)}." if failed else " No trial failed."
    return text


def seed_deviation(method: Stability) -> float | None:
    """Return the standard deviation that training causes: all components but the draw alone; None of one seed."""
    if method.levels["seed"] * method.levels["order"] == 1:
        return None
    return float(sum(one.variance for one in method.components if one.factors != ("draw",)) ** 0.5)


def describe_bounds(study: Study, unit: Unit) -> list[str]:
    """Say what always guessing the most frequent class gives, and how much a single trial tells of its method."""
    said = []
    if study.majority is not None:
        said.append(f"Always the most frequent class: {unit.number(study.majority, 1)}.")
    if study.reliability is not None:
        said.append(
            f"Of all variance of trained methods and their trials, {study.reliability:.0%} lies between the methods "
            "(dependability, an intraclass correlation): what a single trial tells of its method, among these."
        )
    return said
