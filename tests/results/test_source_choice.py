"""Ranks, and how right the measures were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lingraft.results.findings import Estimate
from lingraft.results.pages.source_choice_markdown import sources_page
from lingraft.results.source_choice import (
    MEAN_RANK,
    Candidate,
    SourceChoice,
    first_overall,
    rank_candidates,
    spearman,
)

NUMBERS = st.lists(st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 3)), min_size=5, max_size=12)


def candidates(scores=None, **measures):
    """Named a, b, c and so on, with the measures' values in that order; None for none."""
    count = len(next(iter(measures.values())))
    return [
        Candidate(
            language=chr(97 + i),
            name=chr(65 + i),
            labels=10,
            measures={name: values[i] for name, values in measures.items() if values[i] is not None},
            score=Estimate(scores[i]) if scores else None,
        )
        for i in range(count)
    ]


def test_the_mean_rank_is_over_measures_that_every_candidate_has():
    """Of those that are asked for; ties share a rank, and a distance is better where it is less."""
    found = candidates(agreement=[0.5, 0.7, 0.6], genetic=[0.9, 0.9, 0.1], retrieval=[None, 1, 1], tokens=[3, 2, 1])
    ranking = rank_candidates("t", "T", found, ["agreement", "genetic", "retrieval"])
    assert ranking.ranked_by == ("agreement", "genetic")
    assert {one.language: one.place for one in ranking.candidates} == {"a": 2.75, "b": 1.75, "c": 1.5}
    assert [one.language for one in ranking.candidates] == ["c", "b", "a"]


def test_without_any_measure_that_was_asked_for_all_common_ones_count():
    """As where no head is fitted."""
    ranking = rank_candidates("t", "T", candidates(tokens=[0.1, 0.3], genetic=[0.5, 0.1]), ["agreement"])
    assert ranking.ranked_by == ("tokens", "genetic")
    assert [one.language for one in ranking.candidates] == ["b", "a"]


def test_a_measure_is_as_right_as_it_orders_true_scores():
    """The correlation of a distance is that of nearness; what its first is below the best is told."""
    found = candidates([0.5, 0.6, 0.9, 0.7], genetic=[0.9, 0.8, 0.1, 0.2], tokens=[4, 3, 1, 2])
    told = rank_candidates("t", "T", found, ["genetic", "tokens"]).correlations
    assert told["genetic"].value == 1 and told["tokens"].value == -1
    assert (told["genetic"].first, told["genetic"].lost) == ("C", 0)
    assert (told["tokens"].first, told["tokens"].lost) == ("A", pytest.approx(0.4))
    assert MEAN_RANK not in told  # all have the same mean rank, which goes along with nothing
    assert told["tokens"].low is None  # of four


def test_the_page_says_where_there_is_nothing_to_rank_by():
    """And leaves the order as it was; of scores that there are not, nothing is said."""
    ranking = rank_candidates("t", "T", candidates(tokens=[None, None]), ["tokens"])
    assert [one.language for one in ranking.candidates] == ["a", "b"] and ranking.ranked_by == ()
    page = sources_page(SourceChoice("task", "accuracy", "a", (ranking,), ("a", "b"), {"a": "A", "b": "B"}, {}))
    assert "- T: there is nothing to rank by" in page and "source_language: [a, b]" in page
    assert "Accuracy" not in page


def test_over_several_targets_the_mean_place_counts():
    """Each target is as much as another."""
    one = rank_candidates("s", "S", candidates(tokens=[3, 2, 1]), ["tokens"])
    other = rank_candidates("t", "T", candidates(tokens=[1, 3, 2]), ["tokens"])
    assert first_overall([one, other]) == ["b", "a", "c"]


@given(NUMBERS, st.data())
def test_the_correlation_is_scipys_and_its_interval_holds_it(x, data):
    """With ties, too; none where nothing varies."""
    y = data.draw(st.lists(st.integers(0, 3).map(float), min_size=len(x), max_size=len(x)))
    found = spearman(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found is None
        return
    value, low, high = found
    assert value == pytest.approx(spearmanr(x, y).statistic, abs=1e-9)
    assert -1 <= low <= value <= high <= 1


@pytest.mark.parametrize("count", [5, 8, 20])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.95])
def test_the_interval_holds_the_true_correlation(count, rho):
    """In at least 95 of 100 samples of few normal pairs, whose Spearman's correlation is known."""
    rng, true = np.random.default_rng(count), 6 / np.pi * np.arcsin(rho / 2)
    x = rng.normal(size=(600, count))
    y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=(600, count))
    held = [low <= true <= high for _, low, high in map(spearman, x, y)]
    assert np.mean(held) >= 0.95
