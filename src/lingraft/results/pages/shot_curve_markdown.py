"""The page of a curve over labels: each method by number of labels, where they cross, what translations are worth."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import isinf

from ..comparison import Comparison, shared_languages
from ..experiment_tables import ahead_table, curve_table
from ..findings import metrics_of
from ..revisions import describe_revisions
from ..shot_curve import Curve, ShotCurve, Worth
from ..wording import capital, listed, metric_name
from ..words import Words, words_of
from .escaping import code_span, describe_command, describe_notes, markdown_text
from .table_formats import markdown_table


def shot_curve_page(found: ShotCurve, comparison: Comparison, *, command: str | None = None) -> str:
    """Return a curve in Markdown; the first lines say against whom ours is ahead, and what translations are worth.

    Args:
        found: The curve.
        comparison: What was run.
        command: How the page came about; None where nobody knows.
    """
    lines = [f"# {title(comparison)}", "", *(f"- {finding}" for finding in findings(found, comparison))]
    lines += ["", *describe_notes(comparison.notes)]
    lines += [*(describe_command(command) if command else []), ""]
    lines += describe_revisions(comparison.folder)
    lines += [describe_columns(comparison), "", *markdown_table(curve_table(found, comparison.unit))]
    lines += ["", f"## {ahead_title(comparison)}", "", *markdown_table(ahead_table(found, comparison.unit))]
    return "\n".join(lines) + "\n"


def title(comparison: Comparison) -> str:
    """Name a curve by its task."""
    return f"What labels are worth: {markdown_text(comparison.about['data']['task'])}"


def ahead_title(comparison: Comparison) -> str:
    """Name the table of differences."""
    return f"{code_span(comparison.reference)} less the method, {comparison.unit.steps}"


def describe_columns(comparison: Comparison) -> str:
    """Say what the columns of the tables are."""
    data = comparison.about["data"]
    metric, counted = capital(metric_name(metrics_of(data)[0])), words_of(data).shots_title.lower()
    languages = listed([markdown_text(comparison.language(code)) for code in shared_languages(comparison)])
    return (
        f"{metric}, mean of {languages}, {comparison.unit.scale}, by {counted}; "
        "95 % bootstrap intervals over test examples, which all points share. A name that ends in `-50-pairs` has "
        "so many translations; `lingraft` and `instant` have all that the recipe allows."
    )


def findings(found: ShotCurve, comparison: Comparison) -> Iterator[str]:
    """Yield what there is to say, a sentence for all methods of which it holds."""
    reference, alike = code_span(comparison.reference), dict[str, list[str]]()
    for curve in found.curves:
        if curve.ahead:
            alike.setdefault(_crossing(curve), []).append(code_span(curve.name))
    yield from (f"{reference} beside {listed(names)}: {said}." for said, names in alike.items())
    words = words_of(comparison.about["data"])
    worth = dict[str, list[str]]()
    for one in found.worths:
        worth.setdefault(_worth(one, words), []).append(code_span(one.name))
    yield from (f"{said} to {listed(names)}{BEYOND}." for said, names in worth.items())


BEYOND = " (∞: more than were tried)"


def _crossing(curve: Curve) -> str:
    above = [shots for shots, one in curve.ahead.items() if one.low > 0]
    below = [shots for shots, one in curve.ahead.items() if one.high < 0]
    parts = [f"clearly above with {_numbers(above)}"] if above else []
    parts += [f"clearly below with {_numbers(below)}"] if below else []
    crossed = _crossed(curve)
    parts += [f"they cross {crossed}"] if crossed else []
    return "; ".join(parts) if parts else "nowhere clearly apart"


def _crossed(curve: Curve) -> str:
    """Say between which numbers of labels the sign of the difference changes; a tie in between has none."""
    points = [(shots, one.mean) for shots, one in curve.ahead.items() if one.mean]
    changes = [f"between {less} and {more}" for (less, one), (more, other) in pairwise(points) if one * other < 0]
    return listed(changes) if changes else ""


def _numbers(shots: list[int]) -> str:
    return listed([str(one) for one in shots])


def _worth(worth: Worth, words: Words) -> str:
    pairs = "the translations are" if worth.pairs is None else f"{worth.pairs} translations are"
    return (
        f"Without any label {pairs} worth {_labels(worth.labels)} [{_labels(worth.low)}, {_labels(worth.high)}] "
        f"{words.shots_title.lower()}"
    )


def _labels(value: float) -> str:
    return "∞" if isinf(value) else f"{value:.1f}".removesuffix(".0")
