"""Tests of lingraft.results.metrics: against values worked out by hand, and against scikit-learn."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from lingraft.results.metrics import (
    METRICS,
    SumMetric,
    accuracy,
    expected_calibration_error,
    macro_f1,
    mean_of,
    of_sums,
)

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=20)


def test_accuracy_by_hand():
    """Three of four labels are right."""
    assert accuracy(["a", "b", "b", "c"], ["a", "b", "a", "c"]) == 0.75


def test_macro_f1_by_hand():
    """F1 is 2/3 for a, 2/3 for b, 1 for c."""
    assert macro_f1(["a", "b", "b", "c"], ["a", "b", "a", "c"]) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_macro_f1_counts_absent_labels_of_the_task_as_zero():
    """A label of the task that never occurs lowers the mean; without a label set it does not exist."""
    assert macro_f1(["a", "b"], ["a", "b"], labels=["a", "b", "c", "d"]) == 0.5
    assert macro_f1(["a", "b"], ["a", "b"]) == 1.0


def test_macro_f1_counts_labels_that_are_only_predicted():
    """Without a label set, a label that gold does not know still enters the mean, with 0."""
    assert macro_f1(["a", "a"], ["a", "z"]) == pytest.approx((2 / 3 + 0) / 2)


def test_macro_f1_of_labels_that_never_occur():
    """A label set without any occurrence scores 0 and warns of nothing."""
    assert macro_f1(["a"], ["a"], labels=["x"]) == 0.0


@settings(deadline=None)
@given(PAIRS)
def test_metrics_equal_scikit_learn(pairs):
    """On any labels our numbers are scikit-learn's, within 0 and 1."""
    gold, predicted = map(list, zip(*pairs, strict=True))

    assert accuracy(gold, predicted) == pytest.approx(accuracy_score(gold, predicted))
    expected = f1_score(gold, predicted, labels=list("abcde"), average="macro", zero_division=0)
    assert macro_f1(gold, predicted, labels="abcde") == pytest.approx(expected)
    assert all(0 <= metric(gold, predicted) <= 1 for metric in METRICS.values())


@settings(deadline=None)
@given(PAIRS)
def test_gold_scores_perfectly(pairs):
    """Every named metric gives 1 to the gold labels themselves."""
    gold = [g for g, _ in pairs]

    assert all(metric(gold, gold) == 1 for metric in METRICS.values())


def test_metrics_accept_arrays():
    """Labels may come as an array."""
    assert macro_f1(np.array(["a", "b"]), np.array(["a", "b"])) == 1.0


@pytest.mark.parametrize("metric", [*METRICS.values(), expected_calibration_error])
def test_lengths_must_agree(metric):
    """A missing prediction is an error that names both numbers."""
    with pytest.raises(ValueError, match=r"for \d examples"):
        metric([1.0, 1.0, 1.0], [1.0, 1.0])


@pytest.mark.parametrize("metric", [*METRICS.values(), expected_calibration_error])
def test_nothing_cannot_be_scored(metric):
    """The mean of no examples is an error, not NaN."""
    with pytest.raises(ValueError, match="no examples"):
        metric([], [])


def test_macro_f1_needs_labels():
    """An empty label set has no mean."""
    with pytest.raises(ValueError, match="at least one"):
        macro_f1(["a"], ["a"], labels=[])


def test_calibration_error_by_hand():
    """Two bins: 0.2 and 0.4 with one of two right; 0.9 and 0.7 with both right."""
    error = expected_calibration_error([0.2, 0.4, 0.9, 0.7], [True, False, True, True], bins=2)

    assert error == pytest.approx(0.5 * abs(0.3 - 0.5) + 0.5 * abs(0.8 - 1.0))


def test_calibration_bins_are_closed_above():
    """0.5 belongs to the lower of two bins, 0 to the first, 1 to the last."""
    assert expected_calibration_error([0.5, 0.4], [True, False], bins=2) == pytest.approx(0.05)
    assert expected_calibration_error([0.5, 0.6], [True, False], bins=2) == pytest.approx(0.55)
    assert expected_calibration_error([0.0, 1.0], [False, True]) == 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=20), st.integers(1, 15))
def test_calibration_error_equals_a_plain_loop(pairs, bins):
    """The vectorised sum is the definition, written out."""
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for low, high in pairwise(edges):
        inside = [(p, c) for p, c in pairs if low < p <= high or (p == 0 and low == 0)]
        if inside:
            gap = np.mean([p for p, _ in inside]) - np.mean([c for _, c in inside])
            total += len(inside) / len(pairs) * abs(gap)

    error = expected_calibration_error([p for p, _ in pairs], [c for _, c in pairs], bins)

    assert error == pytest.approx(total, abs=1e-12)
    assert 0 <= error <= 1


@pytest.mark.parametrize("confidence", [1.1, -0.1, math.nan])
def test_confidence_is_a_probability(confidence):
    """A logit in the place of a probability is refused."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        expected_calibration_error([confidence], [True])


def test_calibration_needs_a_bin():
    """Zero bins cannot hold an example."""
    with pytest.raises(ValueError, match="at least one bin"):
        expected_calibration_error([0.5], [True], bins=0)


def test_sums_make_a_mean_or_an_f1():
    """Two sums are a mean, three the F1 of right, predicted and gold; the leading axes stay."""
    assert of_sums(np.array([3.0, 4.0])) == 0.75
    assert of_sums(np.array([2.0, 4.0, 3.0])) == pytest.approx(2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3))
    table = np.array([[[1.0, 2.0], [0.0, 5.0]], [[3.0, 3.0], [1.0, 4.0]]])
    assert of_sums(table).tolist() == [[0.5, 0.0], [1.0, 0.25]]


def test_nothing_found_of_nothing_is_no_success():
    """As conlleval has it; and no division by zero."""
    assert of_sums(np.zeros(3)) == of_sums(np.zeros(2)) == 0.0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=8))
def test_a_metric_of_sums_is_a_slow_loops(found):
    """Right, predicted and gold of each example, added up one by one."""
    counts = [(right, right + more, right + missed) for right, more, missed in found]
    metric = SumMetric(lambda gold, predicted: counts[gold], of_sums)
    places = list(range(len(counts)))
    totals = [sum(row[k] for row in counts) for k in range(3)]
    slow = 2 * totals[0] / (totals[1] + totals[2]) if totals[1] + totals[2] else 0.0
    assert metric(places, [""] * len(places)) == pytest.approx(slow)
    assert metric.table(places, [""] * len(places)).tolist() == [list(map(float, row)) for row in counts]


def test_the_mean_of_a_score():
    """Each example counts one."""
    metric = mean_of(lambda gold, predicted: len(set(gold) & set(predicted)) / len(gold))
    assert metric(["ab", "cd", "e"], ["a", "dc", "x"]) == pytest.approx((0.5 + 1 + 0) / 3)
    assert metric.counts("ab", "a") == (0.5, 1.0)


def test_a_metric_of_sums_wants_one_prediction_an_example():
    """As other metrics do."""
    metric = mean_of(lambda gold, predicted: 1.0)
    with pytest.raises(ValueError, match="1 predictions for 2 examples"):
        metric(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="no examples to score"):
        metric([], [])


def test_calibration_counts_parts_of_an_answer():
    """A sentence of which half the words are right, 0.5 sure, is no surprise."""
    assert expected_calibration_error([0.5, 0.75], [0.5, 0.75]) == 0.0
    assert expected_calibration_error([0.9], [0.5]) == pytest.approx(0.4)
