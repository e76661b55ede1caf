"""The tables of a choice of sources: candidates ranked, several together, how right the measures were.

The candidates of all targets have the same columns, so that they can be one file; a cell is empty where a target lacks
what another has.
"""

from __future__ import annotations

from .experiment_tables import bounded, scored, scored_apart
from .source_choice import MEAN_RANK, Candidate, Correlation, Joint, Ranking, SourceChoice
from .tables import Cell, Column, Table, name_cell
from .units import PERCENT, Unit
from .wording import count, listed, metric_name

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
"""What each measure is, in the order of the tables."""


def measures_of(found: SourceChoice) -> list[str]:
    """Return the measures that some candidate has for some target, in the order of the tables."""
    there = {name for ranking in found.rankings for one in ranking.candidates for name in one.measures}
    return [name for name in ABOUT if name in there]


def ranking_table(ranking: Ranking, found: SourceChoice) -> Table:
    """Return the candidates of a target, best first."""
    every = [one for other in found.rankings for one in other.candidates]
    measures, score = measures_of(found), [_score_column(found)] if any(one.score for one in every) else []
    ahead = [_ahead_column(found)] if any(one.ahead for one in every) else []
    columns = [
        Column("source", ("source", "source_language"), "text"),
        Column("labelled examples", ("labelled_examples",)),
        Column(MEAN_RANK, ("mean_rank",)),
        *(Column(name, (name,)) for name in measures),
        *(score + ahead),
    ]
    rows = [
        (
            Cell(one.name, (one.name, one.language)),
            Cell(count(one.labels), (one.labels,)),
            Cell(f"{one.place:.1f}", (one.place,)),
            *(_measure(one, name, found.unit) for name in measures),
            *_scores(one, found.unit)[: len(score)],
            *_scores(one, found.unit)[1:][: len(ahead)],
        )
        for one in ranking.candidates
    ]
    return Table(tuple(columns), tuple(rows), f"to {ranking.name}", {"target": ranking.language})


def joint_table(ranking: Ranking, found: SourceChoice) -> Table:
    """Return what the labels of the first ones together give."""
    columns = (
        Column("sources", ("sources", "source_languages"), "text"),
        _score_column(found),
        _ahead_column(found),
    )
    rows = [
        (
            Cell(
                listed([found.names[code] for code in one.languages]),
                (" ".join(found.names[code] for code in one.languages), " ".join(one.languages)),
            ),
            *_scores(one, found.unit),
        )
        for one in ranking.joint
    ]
    return Table(columns, tuple(rows))


def correlation_table(ranking: Ranking, unit: Unit) -> Table:
    """Return how right each measure was."""
    columns = (
        Column("measure", ("measure",), "text"),
        Column("correlation", bounded("correlation")),
        Column("puts first", ("first",), "text"),
        Column("below the best", ("below_the_best",)),
    )
    rows = [
        (
            name_cell(name),
            Cell(describe_correlation(one), (one.value, one.low, one.high)),
            name_cell(one.first),
            Cell(unit.number(one.lost, 1), (one.lost,)),
        )
        for name, one in ranking.correlations.items()
    ]
    return Table(columns, tuple(rows))


def describe_correlation(one: Correlation) -> str:
    """Write a correlation with its interval."""
    return f"{one.value:+.2f}" + ("" if one.low is None else f" [{one.low:+.2f}, {one.high:+.2f}]")


def _score_column(found: SourceChoice) -> Column:
    return Column(metric_name(found.metric), bounded("score"))


def _ahead_column(found: SourceChoice) -> Column:
    return Column(f"less {found.names[found.source]}", bounded("difference"))


def _measure(one: Candidate, name: str, unit: Unit) -> Cell:
    value = one.measures.get(name)
    return Cell() if value is None else Cell(unit_of_measure(name, unit).number(value, 1), (value,))


def unit_of_measure(name: str, unit: Unit) -> Unit:
    """Return how a measure is written, by the unit of the task's metric: some are scores, the others shares."""
    return unit if name in ("labels", "transfer") else PERCENT


def _scores(one: Candidate | Joint, unit: Unit) -> tuple[Cell, Cell]:
    """Return the cells of a true score and of its difference to that of the recipe's own source."""
    return scored(one.score, unit) if one.score else Cell(), scored_apart(one.ahead, unit)
