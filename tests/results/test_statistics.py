"""Tests of lingraft.results.statistics: against definitions written out, and simulations whose truth is known."""

import numpy as np
import pytest
from scipy.stats import binomtest

from lingraft.results.metrics import formula
from lingraft.results.resampling import RESAMPLES, resample
from lingraft.results.statistics import (
    LEVEL,
    bounds,
    difference,
    highest_share,
    holm,
    interval,
    interval_of_groups,
    resamples_for,
    variance_of_groups,
)

SHARES = (0.0, 1.0)


def paired(a, b, resamples=RESAMPLES, seed=0):
    """The difference of two rows of answers to the same examples."""
    a, b = np.atleast_2d(np.asarray(a, dtype=float)), np.atleast_2d(np.asarray(b, dtype=float))
    drawn = resample(a.shape[1], resamples=resamples, seed=seed)
    return difference(float((a - b).mean()), drawn.means(a) - drawn.means(b), drawn.groups, SHARES)


# ---- Intervals -------------------------------------------------------------------------------------


def test_an_interval_is_the_middle_of_the_resamples():
    """Percentiles, as numpy interpolates them."""
    resampled = np.random.default_rng(0).permutation(101) / 100

    assert interval(resampled) == pytest.approx((0.025, 0.975))
    assert interval(resampled, level=0.8) == pytest.approx((0.1, 0.9))


@pytest.mark.parametrize("level", [0.0, 95])
def test_levels_are_shares(level):
    """Levels in percent are errors."""
    with pytest.raises(ValueError, match="level lies between"):
        interval(np.zeros(3), level=level)


@pytest.mark.parametrize("groups", [1, 2, 30, 816])
@pytest.mark.parametrize("right", [0, 1])
def test_all_right_or_all_wrong_has_the_exact_interval_of_a_share(groups, right):
    """That of Clopper and Pearson, as scipy has it: 30 of 30 may be 88.4 % in truth."""
    drawn = resample(groups)
    found = interval_of_groups(drawn.means(np.full((3, groups), float(right))), drawn.groups, SHARES)
    exact = binomtest(right * groups, groups).proportion_ci(method="exact")

    assert found == pytest.approx((exact.low, exact.high))
    assert 1 - highest_share(30) == pytest.approx(0.8843, abs=5e-5)


def test_what_counts_is_groups_not_examples():
    """Forty right answers to questions on four texts are four pieces of evidence."""
    groups = [str(i // 10) for i in range(40)]
    low, high = bounds(resample(groups), formula("mean"), np.ones((40, 2)), SHARES)

    assert (low, high) == pytest.approx((binomtest(4, 4).proportion_ci(method="exact").low, 1))


def test_one_wrong_answer_brings_the_bootstrap_back():
    """Where resamples differ the interval is theirs."""
    drawn = resample(30)
    resampled = drawn.means(np.arange(30)[None] > 0)

    assert interval_of_groups(resampled, 30, SHARES) == interval(resampled)
    assert variance_of_groups(resampled, 30, SHARES) == np.var(resampled, ddof=1)


def test_errors_know_no_worst_case():
    """All errors of 0: how large another could be is not known, so there is no interval."""
    table = np.stack([np.zeros(9), np.ones(9)], axis=1)

    assert bounds(resample(9), formula("mean"), table, None) == (None, None)


def test_constant_resamples_have_the_variance_of_their_interval():
    """The longer arm is 1.96 standard errors."""
    assert variance_of_groups(np.ones(50), 30, SHARES) == pytest.approx((highest_share(30) / 1.96) ** 2, rel=1e-4)


# ---- Differences -----------------------------------------------------------------------------------


def test_p_value_by_hand():
    """Of nine resamples two are not above zero, which both tails and the observed sample make 2 (1 + 2) / 10."""
    found = difference(0.3, np.array([0.1, 0.2, 0.0, 0.3, 0.4, -0.1, 0.2, 0.3, 0.1]), 20, SHARES)

    assert (found.mean, found.p_value, found.resolution) == (0.3, pytest.approx(0.6), 0.2)


def test_methods_that_never_disagree_may_on_as_many_examples_as_could_go_unseen():
    """The difference of equals is 0, to both sides the limit of a share of which none of 30 was seen; p is 1."""
    a = np.random.default_rng(12).random(30)
    found, most = paired(a, a), binomtest(0, 30).proportion_ci(method="exact").high

    assert (found.mean, found.p_value) == (0, 1)
    assert (found.low, found.high) == pytest.approx((-most, most))


def test_what_rounding_makes_of_a_tie_is_a_tie():
    """Differences of 1e-17 are on both sides of zero."""
    assert difference(0.0, np.full(99, 1e-17), 20, SHARES).p_value == 1


def test_a_sure_difference_has_the_smallest_p_value():
    """A p-value is never 0: the observed sample counts as a resample."""
    found = paired(np.ones(20), np.zeros(20), resamples=999)

    assert (found.low, found.high) == pytest.approx((1 - 2 * highest_share(20), 1))
    assert found.p_value == found.resolution == 2 / 1000


def test_exchanging_the_methods_mirrors_the_difference():
    """What a gains over b, b loses to a, equally surely."""
    a, b = np.random.default_rng(13).random((2, 40))
    forth, back = paired(a, b), paired(b, a)

    assert (forth.mean, forth.low, forth.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert forth.p_value == back.p_value


def test_p_values_of_equal_methods_are_small_as_rarely_as_they_should():
    """Where nothing differs, about one test in twenty falls below 0.05."""
    rng = np.random.default_rng(15)
    small = 0
    for seed in range(300):
        a, b = rng.random((2, 80)) < 0.6
        small += paired(a, b, resamples=400, seed=seed).p_value < 0.05

    assert 0.01 <= small / 300 <= 0.11


def test_the_interval_does_not_depend_on_how_many_p_values_there_are():
    """More resamples make the p-value finer and leave the interval where it was."""
    a, b = np.random.default_rng(16).random((2, 40)) < [[0.7], [0.5]]
    few, many = paired(a, b), paired(a, b, resamples=3 * RESAMPLES)

    assert (few.low, few.high) == (many.low, many.high)
    assert many.resolution < few.resolution / 2.9
    assert many.p_value == pytest.approx(few.p_value, rel=0.5)


# ---- Many p-values ---------------------------------------------------------------------------------


def test_holm_by_hand():
    """The smallest of four is multiplied by four, and none comes out below a smaller one or above 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("comparisons", [0, 1, 5, 6, 12, 40])
def test_corrected_p_values_are_ten_times_finer_than_the_level(comparisons):
    """Of as many sure differences as there are methods, each is below a tenth of 0.05 after the correction."""
    resamples = resamples_for(comparisons)
    sure = [difference(1.0, np.ones(resamples), 20, SHARES).p_value] * comparisons

    assert max(holm(sure), default=0.0) < LEVEL / 10
    assert resamples >= RESAMPLES
