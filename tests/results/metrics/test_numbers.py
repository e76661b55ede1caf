"""Correlations and errors of numbers: as scipy has them, on resamples too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from lingraft.core.errors import RunError
from lingraft.results.findings import formula_of
from lingraft.results.metrics import OfExamples, formula, values_of
from lingraft.results.metrics.numbers import metrics_of_numbers
from lingraft.results.resampling import resample
from lingraft.results.units import PLAIN, unit_of

METRICS = metrics_of_numbers(0.5)
SCIPY = {"spearman": spearmanr, "pearson": pearsonr}


def written(numbers):
    """Numbers as predictions have them."""
    return [f"{number:.6f}" for number in numbers]


def drawn_numbers(count, seed, levels=None):
    """Two columns that go together somewhat, with ties where they are rounded to so many levels."""
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=count)
    given = gold + rng.normal(size=count)
    return (gold, given) if levels is None else (np.round(gold * levels) / levels, np.round(given * levels) / levels)


@pytest.mark.parametrize("levels", [None, 1, 3])
@pytest.mark.parametrize("name", sorted(SCIPY))
def test_correlations_are_those_of_scipy(name, levels):
    """With ties and without."""
    gold, given = drawn_numbers(80, 1, levels)
    assert METRICS[name](written(gold), written(given)) == pytest.approx(SCIPY[name](gold, given)[0], abs=1e-5)


@pytest.mark.parametrize("name", sorted(SCIPY))
def test_a_resample_is_computed_as_the_examples_that_are_in_it(name):
    """Of each the value that scipy gives the examples, repeated as often as they were drawn: ranks are not kept."""
    gold, given = drawn_numbers(40, 2, 2)
    table = METRICS[name].table(written(gold), written(given))
    drawn = resample([f"g{i // 2}" for i in range(40)], resamples=50, seed=4)
    found = drawn.metric(METRICS[name].made, table[None])
    rows = [np.repeat(np.arange(40), times[drawn.membership]) for times in drawn.times]
    expected = [SCIPY[name](table[one, 0], table[one, 1])[0] for one in rows]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_resamples_of_several_trials_are_averaged():
    """The mean over trials, on the same draws."""
    made, drawn = METRICS["spearman"].made, resample(30, resamples=20)
    tables = np.stack([METRICS["spearman"].table(*map(written, drawn_numbers(30, seed))) for seed in (1, 2)])
    each = [drawn.metric(made, one[None]) for one in tables]
    np.testing.assert_allclose(drawn.metric(made, tables), np.mean(each, axis=0), atol=1e-12)
    assert values_of(made, tables) == pytest.approx([METRICS["spearman"].of_table(one) for one in tables])


@pytest.mark.parametrize("name", sorted(SCIPY))
@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_a_constant_side_has_no_correlation(name, value):
    """0, whatever rounding leaves of equal numbers; on resamples that drew one number alone, too."""
    gold = [str(number) for number in range(7)]
    assert METRICS[name](gold, [str(value)] * 7) == 0
    assert METRICS[name]([str(value)] * 7, gold) == 0
    table = METRICS[name].table(["0.1", "7.3"], ["3.7", "4.1"])
    found = resample(2, resamples=30).metric(METRICS[name].made, table[None])
    assert set(found.round(9)) == {0.0, 1.0}


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=30))
@settings(deadline=None, max_examples=60)
def test_spearman_does_not_change_under_what_keeps_the_order(pairs):
    """Cubes have the order of the numbers; and the two sides may change places."""
    gold, told = ([str(one[side]) for one in pairs] for side in (0, 1))
    metric, cubes = METRICS["spearman"], [str(float(one) ** 3 + 2) for one in told]
    assert metric(gold, cubes) == pytest.approx(metric(gold, told), abs=1e-9)
    assert metric(told, gold) == pytest.approx(metric(gold, told), abs=1e-9)
    assert -1 <= metric(gold, told) <= 1


def test_the_mean_absolute_error_is_in_units_of_the_numbers():
    """An error of 10 between thousands is 10, with three digits on pages; correlations have a point."""
    metric = METRICS["mean_absolute_error"]
    assert metric(["1000", "2000"], ["1005", "1985"]) == 10
    unit = unit_of("mean_absolute_error")
    assert [unit.write(one, 1) for one in (10.0, 0.04567, 1234.5, 0.0)] == ["10.0", "0.0457", "1234", "0"]
    assert [unit_of(name) == PLAIN for name in METRICS] == [True, False, True]


def test_a_number_near_enough_is_right_and_others_the_less_the_further_off():
    """Up to the tolerance; beyond it the tolerance's share of the error."""
    right = METRICS["spearman"].right
    assert [right("3", told) for told in ("3", "3.5", "2.5", "4", "-2")] == [1, 1, 1, 0.5, 0.1]


def test_counts_of_another_formula_are_refused():
    """A run whose files do not go together is told so."""
    made = formula_of({"metrics": {"spearman": "spearman_of_numbers"}})
    assert isinstance(made, OfExamples)
    with pytest.raises(RunError, match="takes other counts than the 3 of each prediction"):
        values_of(made, np.ones((1, 4, 3)))
    assert values_of(formula("mean"), np.array([[[2.0, 1.0], [4.0, 1.0]]])) == [3.0]
