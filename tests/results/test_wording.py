"""Shares and their differences are each rounded once, and said with the digits that make them agree."""

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lingraft.results.findings import Estimate, Result
from lingraft.results.metrics.calibration import Bin
from lingraft.results.wording import (
    change,
    describe_confidence,
    describe_few,
    describe_gain,
    difference,
    digits_of,
    headline,
    interval,
    p_value,
    particulars,
    percents,
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


def test_what_closed_form_alone_gives_is_said():
    """With its interval, and whether training gave more than that."""
    plain = result(0.5, 0.74, 0.2, 0.3)
    base = replace(plain, instant=Estimate(0.70, 0.64, 0.76))
    clear = replace(base, over_instant=Estimate(0.04, 0.01, 0.08))
    unclear = replace(base, over_instant=Estimate(0.04, -0.01, 0.08))
    said = [sentence(one).replace("\u00a0", " ").replace("\u2212", "-") for one in (plain, clear, unclear)]
    assert "closed form" not in said[0]
    assert said[1].endswith("; in closed form alone 70 % [64, 76], to which training adds +4 points [1, 8].")
    assert said[2].endswith("to which training adds nothing clear: +4 points [-1, 8].")


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


def test_a_correlation_is_a_number_and_not_a_share():
    """With as many digits as a share in percent has, a real minus, and without points."""
    one = replace(result(-0.054, 0.42, 0.39, 0.5552), metric="spearman", after=Estimate(0.42, 0.3, 0.5))
    assert headline([one]) == "Yoruba: \u22120.05 → 0.42 Spearman correlation"
    assert sentence(one).startswith("Yoruba: \u22120.05 → 0.42 Spearman correlation [0.30, 0.50] on 120 examples")
    assert describe_gain(one) == "+0.47 [0.39, 0.56]"
    assert describe_gain(replace(one, before=Estimate(0.4251), after=Estimate(0.4349))) == "+0.010 [0.390, 0.555]"


def test_the_saved_trial_is_told_apart_from_the_mean():
    """Which of the two numbers predicts is said, with as many digits as the mean has."""
    several = replace(result(0.504, 0.926), seeds=2, saved=0.95)
    assert "1 draw × 2 seeds" in trust(several)
    assert "; the saved trial, which predictions come from, reached 95.0\u00a0%" in trust(several)
    assert "saved trial" not in trust(replace(several, saved=None))


def test_all_scores_of_a_result_have_as_many_digits():
    """A worst draw of 93 % beside a mean of 92.6 would look better than it."""
    one = replace(result(0.954, 0.926), draw_means=(0.9258, 0.9262), saved=0.9262)
    said = [Decimal(number) for number in re.findall(r"[\d.]+(?=\u00a0%)", trust(one))]
    assert said == [Decimal("92.6")] * 3
    assert "worst draw reached 93\u00a0%, the best 95\u00a0%" in trust(
        replace(result(0.5, 0.94), draw_means=(0.93, 0.95))
    )


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.392, 0.413), ("39", "41")),
        ((0.406, 0.414), ("40.6", "41.4")),
        ((0.4111, 0.4114), ("41.11", "41.14")),
        ((0.5, 0.5), ("50", "50")),
        ((0.5, 0.500001), ("50", "50")),
    ],
)
def test_shares_that_differ_look_different(shares, said):
    """Who reads that one is below the other sees it."""
    assert percents(*shares) == tuple(f"{one}\u00a0%" for one in said)


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


@pytest.mark.parametrize(
    ("before", "after", "bounds", "said"),
    [
        (
            28 / 30,
            29 / 30,
            (0.0, 0.1),
            "no clear gain over the frozen head (+3.3 points [0.0, 10.0]; 28 → 29 of 30 right)",
        ),
        (
            29 / 30,
            27 / 30,
            (-0.2, 0.1),
            "no better than the frozen head (-7 points [-20, 10]; 29 → 27 of 30 right)",
        ),
        (0.9, 0.9, (-0.1, 0.1), "no better than the frozen head (0 points [-10, 10]; 27 of 30 right)"),
        (0.901, 0.951, (-0.1, 0.1), "no clear gain over the frozen head (+5 points [-10, 10])"),  # some count in part
        (0.5, 0.8, (0.1, 0.5), "+30 points [10, 50] over the frozen head"),
        (0.8, 0.5, (-0.5, -0.1), "worse than the frozen head (-30 points [-50, -10])"),
    ],
)
def test_what_is_no_clear_gain_is_counted_where_one_trial_is_a_handful_of_answers(before, after, bounds, said):
    """Points of thirty answers sound like more than one answer."""
    one = replace(result(before, after, *bounds), n=30)
    told = sentence(one).replace("\u00a0", " ").replace("\u2212", "-")
    assert told.endswith(f" accuracy on 30 examples never seen in training: {said}.")


def test_over_several_trials_nothing_is_counted():
    """A mean is no number of right answers."""
    several = replace(result(28 / 30, 29 / 30, 0.0, 0.1), n=30, seeds=2)
    assert "right" not in sentence(several)


@given(SHARES, SHARES)
def test_a_report_says_every_number_of_the_sentence_once(before, after):
    """Above it the two scores, below it their difference and the interval."""
    bounded = Estimate(after, max(0.0, after - 0.1), min(1.0, after + 0.1))
    one = replace(result(before, after, -0.1, 0.1), after=bounded)
    beneath = particulars(one).removeprefix("95 % interval ")
    assert numbers(f"{headline([one])}. {beneath}") == numbers(sentence(one))
    assert f"[{sentence(one).split('[')[1].split(']')[0]}] on 120 examples" in particulars(one)


def test_the_particulars_say_what_is_missing():
    """A score without an interval, a baseline or anything."""
    one = result(0.5, 0.8)
    assert particulars(replace(one, before=None, gain=None)) == (
        "On 120 examples never seen in training; there is no baseline to compare with."
    )
    assert particulars(replace(one, after=None)) == "There is no score of the adapted model."


@pytest.mark.parametrize(
    ("bins", "said"),
    [
        ([Bin(0.77, 0.97, 30)], "Too cautious: it says 77\u00a0% where 97\u00a0% are right"),
        ([Bin(0.9, 0.6, 10), Bin(0.7, 0.6, 30)], "Too sure: it says 75\u00a0% where 60\u00a0% are right"),
        ([Bin(0.81, 0.8, 10)], "About as sure as it is right: it says 81\u00a0% where 80\u00a0% are right"),
        (
            [Bin(0.4, 0.7, 10), Bin(0.9, 0.6, 10)],
            "Too sure of some and too cautious of others: 30 points off on average; in all, it says 65\u00a0% where "
            "65\u00a0% are right",
        ),
        ([], ""),
    ],
)
def test_confidences_are_said_with_their_direction(bins, said):
    """Whether to believe them more or less is what a reader wants to know."""
    assert describe_confidence(bins) == said


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


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (1, "no interval: all that is scored is one group, which says nothing of how another would have scored"),
        (9, "the intervals come from 9 groups only; from fewer than 10 they are mostly too narrow"),
        (10, ""),
    ],
)
def test_few_groups_are_said_to_be_few(groups, said):
    """The percentile bootstrap of few units is too narrow, and of one it has no width."""
    assert describe_few(groups, "group") == said
