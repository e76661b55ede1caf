"""The HTML report of a choice of sources: candidates ranked, what was predicted beside what is true, and the tables."""

from __future__ import annotations

from ..experiment_charts import Bar, intervals
from ..source_choice import LESS_IS_BETTER, MEAN_RANK, Candidate, Ranking, SourceChoice, ranks_of
from ..source_choice_charts import Place, Point, predicted_and_true, rank_dots
from ..source_choice_tables import correlation_table, describe_correlation, joint_table, ranking_table, unit_of_measure
from ..units import PLAIN
from ..wording import capital, listed, metric_name, plural
from . import source_choice_markdown as pages
from .escaping import markdown_text
from .experiment_page import Chart, Report, Section

PAGE = "sources.html"
"""Not ``report.html``: a run of the recipe may be in the same folder, and has its own."""

MOST = 20
"""Candidates in a chart of rows; the table has all."""


def source_choice_report(found: SourceChoice) -> Report:
    """Return the report of a choice of sources."""
    return Report(
        "sources",
        pages.title(found),
        [sentence for ranking in found.rankings for sentence in pages.findings(ranking, found)],
        [
            *(section for ranking in found.rankings for section in _of_target(ranking, found)),
            Section("Into the recipe", "The first ones", notes=["\n".join(pages.recipe_lines(found))]),
            Section("Measures", "What is measured", notes=["\n".join(pages.explanations(found))]),
        ],
        [ranking_table(ranking, found) for ranking in found.rankings],
        task=found.task,
        languages=[ranking.name for ranking in found.rankings],
        revisions=[f"All numbers are of lingraft {found.revision}."] if found.revision else [],
        remarks=found.remarks,
    )


def _of_target(ranking: Ranking, found: SourceChoice) -> list[Section]:
    kicker, name = f"To {ranking.name}", markdown_text(ranking.name)
    drawn = [one for one in (_ranks(ranking, found), _scores(ranking, found)) if one]
    sections = [Section(kicker, f"Candidates for {name}, best first", drawn, [ranking_table(ranking, found)])]
    if ranking.correlations:
        order = dict.fromkeys([MEAN_RANK, *ranking.ranked_by, *ranking.correlations])
        right = [_scatter(measure, ranking, found) for measure in order if measure in ranking.correlations]
        said = [pages.describe_correlations(ranking, found.unit)]
        title = f"How right the measures were for {name}"
        sections.append(Section(kicker, title, right, [correlation_table(ranking, found.unit)], said))
    if ranking.joint:
        table = joint_table(ranking, found)
        sections.append(Section(kicker, f"Several together for {name}", (), [table], [pages.JOINT], folded=True))
    return sections


def _ranks(ranking: Ranking, found: SourceChoice) -> Chart | None:
    """Draw the ranks of the first candidates; nothing where nothing was ranked by."""
    ranks, shown = ranks_of(ranking.candidates, ranking.ranked_by), _shown(ranking, found)
    if not ranks:
        return None
    places = [
        Place(one.name, one.place, {measure: of[at] for measure, of in ranks.items()})
        for at, one in enumerate(ranking.candidates)
        if one in shown
    ]
    said = f"Ranks among {plural(len(ranking.candidates), 'candidate')}, 1 being first"
    by = listed([*ranks])
    what = f"the mean; small dots are ranks by {by}" if len(ranks) > 1 else f"by {by}"
    caption = f"{said}: {what}{_drawn(ranking, found)}"
    return Chart(rank_dots(places, found.names[found.source], said), caption)


def _scores(ranking: Ranking, found: SourceChoice) -> Chart | None:
    """Draw the true scores of the first candidates; nothing where there are none."""
    bars = [Bar(one.name, one.score) for one in _shown(ranking, found) if one.score is not None]
    if not bars:
        return None
    said = f"{capital(metric_name(found.metric))} on the test set of {ranking.name}, of frozen heads"
    own = found.names[found.source]
    caption = f"{markdown_text(said)}, {found.unit.scale}; blue is {markdown_text(own)}{_drawn(ranking, found)}"
    return Chart(intervals(bars, own, f"{said}, with 95 % intervals", unit=found.unit), caption)


def _shown(ranking: Ranking, found: SourceChoice) -> list[Candidate]:
    """Return the first candidates, and the recipe's own source wherever it comes."""
    return [one for at, one in enumerate(ranking.candidates) if at < MOST or one.language == found.source]


def _drawn(ranking: Ranking, found: SourceChoice) -> str:
    """Say which candidates are drawn, where that is not all."""
    if (count := len(ranking.candidates)) <= MOST:
        return ""
    own = "" if len(_shown(ranking, found)) == MOST else f", and {markdown_text(found.names[found.source])}"
    return f"; the first {MOST} of {count}{own}"


def _scatter(measure: str, ranking: Ranking, found: SourceChoice) -> Chart:
    """Draw what a measure says of each candidate, and its true score."""
    less = measure == MEAN_RANK or measure in LESS_IS_BETTER
    points = [
        Point(one.name, _predicted(measure, one), one.score) for one in ranking.candidates if one.score is not None
    ]
    points.sort(key=lambda point: point.predicted, reverse=not less)
    own, turned = found.names[found.source], " (better to the right)" if less else ""
    said = f"{measure} across{turned}, true {metric_name(found.metric)} up, {found.unit.scale}"
    right = describe_correlation(ranking.correlations[measure])
    across = PLAIN if measure == MEAN_RANK else unit_of_measure(measure, found.unit)
    chart = predicted_and_true(points, own, said, across=across, less_is_better=less, unit=found.unit)
    return Chart(chart, f"{capital(said)}: correlation {right}")


def _predicted(measure: str, one: Candidate) -> float:
    return one.place if measure == MEAN_RANK else one.measures[measure]
