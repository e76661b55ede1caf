"""Tests of lingraft.results.statistics: against definitions written out, and simulations whose truth is known."""

import numpy as np
import pytest

from lingraft.results.resampling import RESAMPLES, resample
from lingraft.results.statistics import LEVEL, difference, holm, interval, resamples_for


def paired(a, b, resamples=RESAMPLES, seed=0):
    """The difference of two rows of answers to the same examples."""
    a, b = np.atleast_2d(np.asarray(a, dtype=float)), np.atleast_2d(np.asarray(b, dtype=float))
    drawn = resample(a.shape[1], resamples=resamples, seed=seed)
    return difference(float((a - b).mean()), drawn.means(a) - drawn.means(b))


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


# ---- Differences -----------------------------------------------------------------------------------


def test_p_value_by_hand():
    """Of nine resamples two are not above zero, which both tails and the observed sample make 2 (1 + 2) / 10."""
    found = difference(0.3, np.array([0.1, 0.2, 0.0, 0.3, 0.4, -0.1, 0.2, 0.3, 0.1]))

    assert (found.mean, found.p_value, found.resolution) == (0.3, pytest.approx(0.6), 0.2)


def test_a_method_does_not_differ_from_itself():
    """The difference of equals is 0 with certainty, and its p-value is 1."""
    a = np.random.default_rng(12).random(30)
    found = paired(a, a)

    assert (found.mean, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_what_rounding_makes_of_a_tie_is_a_tie():
    """Differences of 1e-17 are on both sides of zero."""
    assert difference(0.0, np.full(99, 1e-17)).p_value == 1


def test_a_sure_difference_has_the_smallest_p_value():
    """A p-value is never 0: the observed sample counts as a resample."""
    found = paired(np.ones(20), np.zeros(20), resamples=999)

    assert (found.low, found.high) == (1, 1)
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
    sure = [difference(1.0, np.ones(resamples)).p_value] * comparisons

    assert max(holm(sure), default=0.0) < LEVEL / 10
    assert resamples >= RESAMPLES
