"""Measures of many trials, against plainer ways to compute them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, trim_mean

from lingraft.results.trial_summary import (
    failure_rate,
    interquartile_mean,
    probability_of_improvement,
    smallest_difference,
)

SCORES = st.lists(st.integers(0, 100).map(float), min_size=1, max_size=30)


@given(SCORES)
def test_the_middle_half_is_that_of_each_score_taken_four_times(scores):
    """Of which a quarter at either end is left out, whatever their number."""
    assert interquartile_mean(scores) == pytest.approx(trim_mean(np.repeat(scores, 4), 0.25))


@given(SCORES, SCORES)
def test_the_probability_of_improvement_is_mann_whitney_s(scores, others):
    """Divided by the number of pairs; that of the other way round is what is left."""
    found = probability_of_improvement(scores, others)
    assert found == pytest.approx(mannwhitneyu(scores, others).statistic / (len(scores) * len(others)))
    assert found + probability_of_improvement(others, scores) == pytest.approx(1)


def test_a_trial_within_two_points_of_one_answer_for_all_has_failed():
    """The one that is as good has, the one three points above has not."""
    assert failure_rate([0.50, 0.55, 0.57, 0.58, 0.9], majority=0.55) == pytest.approx(3 / 5)


def test_the_smallest_difference_is_found_four_times_in_five():
    """By a two-sided test at 5 % of simulated estimates with that error."""
    error = 1.3
    true = smallest_difference(error)
    estimates = np.random.default_rng(0).normal(true, error, 20_000)
    assert (np.abs(estimates) > 1.96 * error).mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("scores", [[], [0.5, float("nan")]])
def test_no_scores_have_no_summary(scores):
    """Nor have those that are no numbers."""
    with pytest.raises(ValueError, match="expected one finite score"):
        interquartile_mean(scores)
