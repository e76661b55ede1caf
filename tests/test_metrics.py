"""Tests of lingraft.metrics: against values worked out by hand, and against scikit-learn."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from lingraft.metrics import METRICS, accuracy, expected_calibration_error, macro_f1

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
