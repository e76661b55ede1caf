"""The page of a stability study: how good on average, how bad at worst, and what the spread comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..comparison import Comparison, shared_languages
from ..findings import metrics_of
from ..revisions import describe_revisions
from ..stability import Stability, Study
from ..wording import capital, describe_shots, listed, metric_name, plural
from ..words import words_of
from .escaping import code_span, describe_command, markdown_text

PLURALS = {"draw": "draws", "seed": "seeds", "order": "orders"}


def stability_page(studies: Sequence[Study], comparison: Comparison, *, command: str | None = None) -> str:
    """Return a study in Markdown; the first lines compare the spread of ours with that of the others.

    Args:
        studies: One for each number of shots.
        comparison: What was run.
        command: How the page came about; None where nobody knows.
    """
    data = comparison.about["data"]
    lines = [f"# How much depends on chance: {markdown_text(data['task'])}", ""]
    lines += [f"- {stability_finding(study, comparison)}" for study in studies]
    lines += ["", *(describe_command(command) if command else []), ""]
    lines += describe_revisions(comparison.folder)
    languages = listed([markdown_text(comparison.language(code)) for code in shared_languages(comparison)])
    lines += [
        f"{capital(metric_name(metrics_of(data)[0]))}, mean of {languages}, in percent. Each draw of the labels is "
        "trained with each seed (and each order), so that the spread can be split by its cause: a random-effects "
        "analysis of variance, interactions named. Brackets: 95 % interval for other draws and seeds and other test "
        "examples together (Satterthwaite's degrees of freedom). *Failed*: at most two points above always giving the "
        "most frequent class. *Middle*: mean of the middle half of the trials. *Ours better*: how probable it is that "
        f"a trial of {code_span(comparison.reference)} is better than one of the method. What has "
        "one level of a factor says nothing of others.",
    ]
    for study in studies:
        lines += ["", f"## {capital(describe_shots(study.shots, words_of(data)))}", "", *_summary(study)]
        lines += ["", "### What the spread comes from", "", *_components(study)]
        lines += ["", "### What more trials would buy", "", *_more(study)]
    return "\n".join(lines) + "\n"


def stability_finding(study: Study, comparison: Comparison) -> str:
    """Say in a sentence how ours spreads beside the others, and whether any trial failed."""
    ours = next((one for one in study.methods if one.name == comparison.reference), None)
    said = f"k = {study.shots}"
    if ours is None:
        return f"{said}: {code_span(comparison.reference)} is not among the methods."
    spread = {one.name: deviation for one in study.methods if (deviation := seed_deviation(one)) is not None}
    if ours.name not in spread:
        text = f"{said}: {code_span(ours.name)} has one seed, so nothing is said of seeds."
    else:
        beside = [f"{code_span(name)} {_points(value)}" for name, value in spread.items() if name != ours.name]
        text = f"{said}: on the same labels {code_span(ours.name)} has a standard deviation of "
        text += f"{_points(spread[ours.name])} points over seeds"
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


def _trials(method: Stability) -> str:
    crossed = [plural(count, factor) for factor, count in method.levels.items() if count > 1]
    return " × ".join(crossed) or "1 trial"


SHOWN = {
    "method": 0,
    "trials": 2,
    "mean": 0,
    "worst trial": 0,
    "best": 3,
    "middle": 2,
    "standard deviation": 0,
    "failed": 1,
    "ours better": 1,
}
"""Headings of the table, and how early each is left out where there is no room."""


def summary_rows(study: Study) -> Iterator[list[str]]:
    """Yield the cells of each method, under the headings of ``SHOWN``."""
    for one in study.methods:
        failed = "" if one.failures is None else f"{one.failures:.0%}"
        better = "" if one.better is None else f"{one.better:.2f}"
        mean = f"{_percent(one.mean.value)} [{_percent(one.mean.low)}, {_percent(one.mean.high)}]"
        cells = [
            _trials(one),
            mean,
            *map(_percent, (one.worst, one.best, one.interquartile)),
            _points(one.deviation) if one.components else "",
            failed,
            better,
        ]
        yield [code_span(one.name), *cells]


def _summary(study: Study) -> Iterator[str]:
    yield f"| {' | '.join(SHOWN)} |"
    yield "|---|---|---|" + "--:|" * (len(SHOWN) - 3)
    yield from (f"| {' | '.join(row)} |" for row in summary_rows(study))
    if study.majority is not None:
        yield ""
        yield f"Always the most frequent class: {_percent(study.majority)}."
    if study.reliability is not None:
        yield ""
        yield (
            f"Of all variance of trained methods and their trials, {study.reliability:.0%} lies between the methods "
            "(dependability, an intraclass correlation): what a single trial tells of its method, among these."
        )


def _components(study: Study) -> Iterator[str]:
    there = {part.factors for one in study.methods for part in one.components}
    every = sorted(there, key=lambda factors: (len(factors), [list(PLURALS).index(name) for name in factors]))
    yield f"| method | {' | '.join(map(_named, every))} |"
    yield "|---|" + "--:|" * len(every)
    for one in study.methods:
        told = {part.factors: f"{_points(part.deviation)} ({part.share:.0%})" for part in one.components}
        yield f"| {code_span(one.name)} | {' | '.join(told.get(factors, '') for factors in every)} |"
    yield ""
    yield "Standard deviation in points, and the share of the variance of one trial."


def _named(factors: Sequence[str]) -> str:
    return " × ".join(PLURALS[name] for name in factors)


def _more(study: Study) -> Iterator[str]:
    factors = [name for name in PLURALS if any(name in one.more for one in study.methods)]
    yield f"| method | standard error now | {' | '.join(f'one {name} more' for name in factors)} | examples alone |"
    yield "|---|--:|" + "--:|" * (len(factors) + 1)
    for one in study.methods:
        more = [_points(one.more[name]) if name in one.more else "" for name in factors]
        cells = [_points(one.mean.error), *more, _points(one.of_examples)]
        yield f"| {code_span(one.name)} | {' | '.join(cells)} |"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _points(value: float) -> str:
    return f"{100 * value:.2f}"
