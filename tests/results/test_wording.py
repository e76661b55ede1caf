"""Shares and their differences are each rounded once, and said with the digits that make them agree."""

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lingraft.results.findings import Estimate, Result
from lingraft.results.wording import (
    change,
    describe_gain,
    difference,
    digits_of,
    headline,
    interval,
    p_value,
    sentence,
    trust,
)

SHARES = st.floats(0, 1)


def result(before, after, low=None, high=None):
    """One language before and after."""
    gain = Estimate(after - before, low, high)
    return Result("yor-Latn", "Yoruba", 5, Estimate(before), Estimate(after), gain, None, None, (after,), 1, 120, None)


def numbers(text):
    """What stands in a sentence, in the order that a reader comes to it."""
    text = text.replace("\u2212", "-").replace("\u00a0", " ")
    return [Decimal(number) for number in re.findall(r"(?<![\w.])[+-]?\d+(?:\.\d+)?(?= %| point)", text)]


@given(SHARES, SHARES)
@example(0.945, 0.92)  # 94 or 95, and 92, and 2.5 points
@example(0.9549, 0.9251)
@example(0.5, 0.5)
@example(0.0, 1.0)
def test_the_headline_and_the_results_say_the_numbers_of_the_sentence(before, after):
    """Whatever is rounded, no number is said in two ways, and who subtracts is off by a last digit at most."""
    one = result(before, after)
    first, second, apart = numbers(sentence(one))

    assert abs(second - first - apart) <= (Decimal("0.1") if digits_of(before, after) else 0)
    assert numbers(headline([one])) == [first, second]
    assert numbers(describe_gain(one)) == [apart]


def test_the_saved_trial_is_told_apart_from_the_mean():
    """Which of the two numbers predicts is said, with as many digits as the mean has."""
    several = replace(result(0.504, 0.926), seeds=2, saved=0.95)
    assert "1 draw × 2 seeds" in trust(several)
    assert "; the saved trial, which predictions come from, reached 95.0\u00a0%" in trust(several)
    assert "saved trial" not in trust(replace(several, saved=None))


@given(SHARES, SHARES)
def test_what_is_said_is_near_the_truth(before, after):
    """All three are off by no more than half their last digit."""
    first, second, apart = numbers(sentence(result(before, after)))
    digits = digits_of(before, after)

    assert abs(float(first) - 100 * before) <= 0.5 * 10**-digits + 1e-9
    assert abs(float(second) - 100 * after) <= 0.5 * 10**-digits + 1e-9
    assert abs(float(apart) - 100 * (after - before)) <= 0.5 * 10**-digits + 1e-9


@given(st.integers(0, 100), st.integers(0, 100))
def test_whole_percents_need_no_more_digits(before, after):
    """More digits are shown only where fewer contradict each other."""
    assert digits_of(before / 100, after / 100) == 0


def test_one_more_digit_where_rounding_contradicts():
    """95.4 and 92.6 are rounded to 95 and 93, two points apart, and differ by 2.8."""
    assert digits_of(0.954, 0.926) == 1
    assert sentence(result(0.954, 0.926)).startswith("Yoruba: 95.4\u00a0% → 92.6\u00a0% accuracy")
    assert describe_gain(result(0.954, 0.926, -0.0512, 0.0004)) == "\u22122.8\u00a0points [\u22125.1, 0.0]"
    assert describe_gain(result(0.95, 0.92, -0.0512, 0.0004)) == "\u22123\u00a0points [\u22125, 0]"


def test_a_difference_is_rounded_once():
    """28 and 29 of 30 are 0.0333 apart, whatever 0.933 and 0.967 look like; nothing has no sign."""
    assert difference(28 / 30, 29 / 30, 3) == Decimal("0.033")
    assert difference(29 / 30, 28 / 30, 3) == Decimal("-0.033")
    assert describe_gain(result(28 / 30, 29 / 30)) == "+3.3\u00a0points"
    assert str(difference(0.3, 0.1 + 0.2 - 1e-9, 1)) == "0.0"


def test_signs_and_plurals():
    """A real minus, a plus before gains only, and no minus before nothing."""
    assert change(0.5, 0.51) == "+1\u00a0point"
    assert change(0.51, 0.5) == "\u22121\u00a0point"
    assert change(0.52, 0.8) == "+28\u00a0points"
    assert change(0.5, 0.5) == change(0.5, 0.499999) == "0\u00a0points"
    assert change(0.5, 0.51, 1) == "+1.0\u00a0points"
    assert interval(Estimate(0.0, -0.001, 0.001)) == "[0, 0]"


@pytest.mark.parametrize(
    ("value", "resolution", "said"),
    [
        (2 / 2001, 2 / 2001, "< 0.001"),
        (4 / 2001, 2 / 2001, "0.002"),
        (24 / 4801, 24 / 4801, "< 0.005"),
        (48 / 4801, 24 / 4801, "0.010"),
        (1.0, 24 / 4801, "1.000"),
        (2 / 48_001, 2 / 48_001, "< 0.00005"),
        (10 / 48_001, 2 / 48_001, "0.00021"),
        (0.041, 0.041, "< 0.05"),
        (0.123, 0.011, "0.12"),
    ],
)
def test_p_values_have_the_digits_that_the_resamples_know(value, resolution, said):
    """The smallest that there can be is a bound, and no number is finer than it."""
    assert p_value(value, resolution) == said


@given(st.integers(1, 50), st.integers(2000, 40_000), st.integers(0, 1000))
def test_a_p_value_is_said_as_a_bound_only_where_it_is_one(comparisons, resamples, others):
    """The bound is above what it bounds, and within twice of it or one digit."""
    resolution = comparisons * 2 / (resamples + 1)
    said = p_value((1 + others) * resolution, resolution)

    assert said.startswith("< ") == (others == 0)
    assert float(said.removeprefix("< ")) >= (resolution if others == 0 else 0)
