"""The page of a choice of sources: candidates ranked, how right the measures were, what to write into the recipe."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from ..source_choice import Ranking, SourceChoice
from ..source_choice_tables import ABOUT, correlation_table, joint_table, measures_of, ranking_table
from ..statistics import LEVEL, holm
from ..units import PERCENT, Unit
from ..wording import capital, listed, metric_name, plural
from .escaping import code_span, describe_command, describe_notes, markdown_text
from .table_formats import markdown_table

JOINT = "The labels of the first ones together:"


def sources_page(found: SourceChoice, *, command: str | None = None) -> str:
    """Return a choice of sources in Markdown; the first lines say which come first, and whether that matters.

    Args:
        found: What was found.
        command: How the page came about; None where nobody knows.
    """
    lines = [f"# {title(found)}", ""]
    lines += [f"- {sentence}" for ranking in found.rankings for sentence in findings(ranking, found)]
    lines += ["", *describe_notes(found.remarks)]
    lines += [*(describe_command(command) if command else []), "", f"All numbers are of lingraft {found.revision}."]
    lines += ["", "## Into the recipe", "", *recipe_lines(found)]
    for ranking in found.rankings:
        lines += ["", f"## {markdown_text(ranking.name)}", "", *markdown_table(ranking_table(ranking, found))]
        if ranking.joint:
            lines += ["", JOINT, "", *markdown_table(joint_table(ranking, found))]
        if ranking.correlations:
            right = markdown_table(correlation_table(ranking, found.unit))
            lines += ["", describe_correlations(ranking, found.unit), "", *right]
    lines += ["", "## What is measured", "", *explanations(found)]
    return "\n".join(lines) + "\n"


def title(found: SourceChoice) -> str:
    """Name a choice by its task."""
    return f"Which language to transfer from: {markdown_text(found.task)}"


def findings(ranking: Ranking, found: SourceChoice) -> Iterator[str]:
    """Yield what there is to say of a target, a sentence each."""
    first = [one.name for one in ranking.candidates[:3]]
    if not ranking.ranked_by:
        yield f"{markdown_text(ranking.name)}: there is nothing to rank by, so candidates stay as they were named."
        return
    yield (
        f"{markdown_text(ranking.name)}: {markdown_text(listed(first))} come first by "
        f"{listed([*ranking.ranked_by])}, of {plural(len(ranking.candidates), 'candidate')}."
    )
    if all(one.ahead is None for one in ranking.candidates):
        return
    own = markdown_text(found.names[found.source])
    better, worse = (clearly_apart(ranking, sign) for sign in (1, -1))
    parts = [f"{markdown_text(listed(better))} clearly better than {own}"] if better else []
    parts += [f"{markdown_text(listed(worse))} clearly worse"] if worse else []
    said = "; ".join(parts) or f"no candidate is clearly better or worse than {own}"
    yield f"{markdown_text(ranking.name)}, on its test set: {said} (frozen heads, paired, corrected for their number)."


def clearly_apart(ranking: Ranking, sign: int) -> list[str]:
    """Return the candidates whose score differs from that of the recipe's source in a direction, by Holm's p-values."""
    others = [(one.name, one.ahead) for one in ranking.candidates if one.ahead is not None]
    corrected = holm([ahead.p_value for _, ahead in others])
    return [name for (name, ahead), p in zip(others, corrected, strict=True) if p <= LEVEL and sign * ahead.mean > 0]


def recipe_lines(found: SourceChoice) -> list[str]:
    """Return what to write into the recipe, and the same for the command line."""
    codes = ", ".join(found.offered)
    one = f"task.source_language={found.offered[0]}"
    several = f"'task.source_language=[{','.join(found.offered)}]'"
    return [
        "The first ones together, whose labels are then all learnt from; pairs and the development set are of the "
        "first (in place of `source_language` and `further_sources`):",
        "",
        "```yaml",
        "task:",
        f"  source_language: [{codes}]",
        "```",
        "",
        f"On the command line: `{several}`; the first alone: `{one}`.",
        "",
        describe_together(found),
    ]


def describe_together(found: SourceChoice) -> str:
    """Say what the labels of the first ones together give beside those of the first alone; empty where there is one."""
    if len(found.offered) < 2:
        return ""
    scores = [scores for ranking in found.rankings if len(scores := _of_the_first(ranking, found)) > 1]
    if not scores:
        return "Whether together they give more than the first alone is not known: that takes labels of a test set."
    alone, *several = (
        (count, fmean(one[count] for one in scores))
        for count in range(1, len(found.offered) + 1)
        if all(count in one for one in scores)
    )
    told = [f"{found.unit.write(mean, 1)} with the first {count} together" for count, mean in several]
    below = all(mean < alone[1] for _, mean in several)
    return (
        f"On the test sets, mean over {plural(len(scores), 'target')}, frozen heads have "
        f"{metric_name(found.metric)} {found.unit.write(alone[1], 1)} with the first alone, {listed(told)}"
        f"{': further languages took from it' if below else ''}. No score of a test set chose anything here."
    )


def _of_the_first(ranking: Ranking, found: SourceChoice) -> dict[int, float]:
    """Return the true scores of the first ones, by how many they are; empty where that of the first is not known."""
    first = next((one.score for one in ranking.candidates if one.language == found.offered[0]), None)
    if first is None:
        return {}
    joint = {one.languages: one.score.value for one in ranking.joint}
    prefixes = [found.offered[:count] for count in range(2, len(found.offered) + 1)]
    return {1: first.value} | {len(codes): joint[codes] for codes in prefixes if codes in joint}


# ---- Explanations ------------------------------------------------------------------------------------


def describe_correlations(ranking: Ranking, unit: Unit) -> str:
    """Say what the columns of the table are that says how right the measures were."""
    return (
        f"How right each measure was, over {plural(len(ranking.candidates), 'candidate')}, which are few: Spearman's "
        "correlation with the true score, with a 95 % interval for other candidates; and how far the candidate that it "
        f"puts first is below the best, {unit.steps}. True scores are themselves known to their intervals only."
    )


def explanations(found: SourceChoice) -> Iterator[str]:
    """Yield the lines that say what was measured, what was not, and why."""
    scores = (
        f" *{capital(metric_name(found.metric))}*: what the candidate's frozen head scores on the target's test set, "
        "with 95 % bootstrap intervals over test examples; a training by gradient, and a map from translations, may "
        "change the order."
    )
    scored = any(one.score for ranking in found.rankings for one in ranking.candidates)
    own = "" if found.unit is PERCENT else " (but *labels* and *transfer*, which are scores)"
    yield (
        f"In percent{own}, without looking at a test label. *Mean rank*: of the measures that are ranked by; 1 is "
        f"first in all.{scores if scored else ''}"
    )
    yield ""
    yield from (f"- *{name}*: {ABOUT[name]}" for name in measures_of(found))
    if found.notes or found.left_out:
        yield ""
    yield from (f"- {note}" for note in found.notes)
    yield from (f"- {code_span(code)} is left out: {markdown_text(reason)}" for code, reason in found.left_out.items())
