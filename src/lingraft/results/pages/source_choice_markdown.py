"""The page of a choice of sources: candidates ranked, how right the measures were, what to write into the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..source_choice import MEAN_RANK, Candidate, Correlation, Joint, Ranking, SourceChoice
from ..statistics import LEVEL, Difference, holm
from ..wording import capital, count, listed, metric_name, plural
from .escaping import code_span, describe_command, describe_notes, markdown_text

ABOUT = {
    "labels": "what the candidate's frozen head scores on the labelled examples of the target that the recipe has "
    "(`shots`)",
    "agreement": "how often another candidate's frozen head says the same of a text of the target; no label is needed",
    "transfer": "what the candidate's frozen head scores on the other candidates' development sets, on average; it is "
    "the same for all targets",
    "retrieval": "how often the nearest frozen state of a sentence in the other language is its translation (recall at "
    "1, mean of both directions)",
    "tokens": "the share of the target's tokens that occur in the candidate's labelled texts",
    "genetic": "the share of branches of the family tree that are not common to both (URIEL; less is better)",
    "geographic": "the distance on the globe, where half the way round is 100 (URIEL; less is better)",
    "syntactic": "the cosine distance of syntactic features, some of them predicted (URIEL; less is better)",
}


def sources_page(found: SourceChoice, *, command: str | None = None) -> str:
    """Return a choice of sources in Markdown; the first lines say which come first, and whether that matters.

    Args:
        found: What was found.
        command: How the page came about; None where nobody knows.
    """
    lines = [f"# Which language to transfer from: {markdown_text(found.task)}", ""]
    lines += [f"- {sentence}" for ranking in found.rankings for sentence in findings(ranking, found)]
    lines += ["", *describe_notes(found.remarks)]
    lines += [*(describe_command(command) if command else []), "", f"All numbers are of lingraft {found.revision}."]
    lines += ["", "## Into the recipe", "", *recipe_lines(found)]
    for ranking in found.rankings:
        lines += ["", f"## {markdown_text(ranking.name)}", "", *_table(ranking, found)]
        lines += ["", *_joint(ranking, found)] if ranking.joint else []
        lines += ["", *_correlations(ranking)] if ranking.correlations else []
    lines += ["", "## What is measured", "", *_explanations(found)]
    return "\n".join(lines) + "\n"


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
    ]


# ---- Tables ----------------------------------------------------------------------------------------


def measures_of(ranking: Ranking) -> list[str]:
    """Return the measures that some candidate has, in the order of the table."""
    return [name for name in ABOUT if any(name in one.measures for one in ranking.candidates)]


def headings(ranking: Ranking, found: SourceChoice) -> list[str]:
    """Return the headings of a target's table."""
    scored = [metric_name(found.metric)] if any(one.score for one in ranking.candidates) else []
    ahead = [f"less {found.names[found.source]}"] if any(one.ahead for one in ranking.candidates) else []
    return ["source", "labels", MEAN_RANK, *measures_of(ranking), *scored, *ahead]


def rows(ranking: Ranking, found: SourceChoice) -> Iterator[list[str]]:
    """Yield the cells of each candidate."""
    scored, compared = (any(getattr(one, name) for one in ranking.candidates) for name in ("score", "ahead"))
    for one in ranking.candidates:
        cells = [percent_of(one.measures.get(name)) for name in measures_of(ranking)]
        cells += [_score(one)] if scored else []
        cells += [_points(one.ahead)] if compared else []
        yield [one.name, count(one.labels), f"{one.place:.1f}", *cells]


def percent_of(value: float | None) -> str:
    """Write a share in percent, without the sign that the heading has."""
    return "" if value is None else f"{100 * value:.1f}"


def _score(one: Candidate | Joint) -> str:
    if one.score is None:
        return ""
    bounds = "" if one.score.low is None else f" [{percent_of(one.score.low)}, {percent_of(one.score.high)}]"
    return percent_of(one.score.value) + bounds


def _points(ahead: Difference | None) -> str:
    if ahead is None:
        return ""
    return f"{100 * ahead.mean:+.1f} [{100 * ahead.low:+.1f}, {100 * ahead.high:+.1f}]"


def _table(ranking: Ranking, found: SourceChoice) -> Iterator[str]:
    yield from _lines(headings(ranking, found), rows(ranking, found))


def _joint(ranking: Ranking, found: SourceChoice) -> Iterator[str]:
    yield "The labels of the first ones together:"
    yield ""
    cells = (
        [listed([found.names[code] for code in one.languages]), _score(one), _points(one.ahead)]
        for one in ranking.joint
    )
    yield from _lines(["sources", metric_name(found.metric), f"less {found.names[found.source]}"], cells)


def _correlations(ranking: Ranking) -> Iterator[str]:
    yield (
        f"How right each measure was, over {plural(len(ranking.candidates), 'candidate')}, which are few: Spearman's "
        "correlation with the true score, with a 95 % interval for other candidates; and how far the candidate that it "
        "puts first is below the best, in points. True scores are themselves known to their intervals only."
    )
    yield ""
    yield from _lines(
        ["measure", "correlation", "puts first", "below the best"],
        ([name, correlation(one), one.first, f"{100 * one.lost:.1f}"] for name, one in ranking.correlations.items()),
    )


def correlation(one: Correlation) -> str:
    """Write a correlation with its interval."""
    return f"{one.value:+.2f}" + ("" if one.low is None else f" [{one.low:+.2f}, {one.high:+.2f}]")


def _lines(headings: Sequence[str], cells: Iterator[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(map(markdown_text, headings))} |"
    yield "|---|" + "--:|" * (len(headings) - 1)
    yield from (f"| {' | '.join(map(markdown_text, row))} |" for row in cells)


def _explanations(found: SourceChoice) -> Iterator[str]:
    used = dict.fromkeys(name for ranking in found.rankings for name in measures_of(ranking))
    scores = (
        f" *{capital(metric_name(found.metric))}*: what the candidate's frozen head scores on the target's test set, "
        "with 95 % bootstrap intervals over test examples; a training by gradient, and a map from translations, may "
        "change the order."
    )
    scored = any(one.score for ranking in found.rankings for one in ranking.candidates)
    yield (
        "In percent, without looking at a test label. *Mean rank*: of the measures that are ranked by; 1 is first in "
        f"all.{scores if scored else ''}"
    )
    yield ""
    yield from (f"- *{name}*: {ABOUT[name]}" for name in used)
    if found.notes or found.left_out:
        yield ""
    yield from (f"- {note}" for note in found.notes)
    yield from (f"- {code_span(code)} is left out: {markdown_text(reason)}" for code, reason in found.left_out.items())
