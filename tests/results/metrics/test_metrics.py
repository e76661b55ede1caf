"""Tests of lingraft.results.metrics: against values worked out by hand, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from lingraft.core.errors import ConfigError
from lingraft.results.metrics import Metric, accuracy, formula, macro_f1, mean_of

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=20)


def test_accuracy_by_hand():
    """Three of four labels are right."""
    assert accuracy(["a", "b", "b", "c"], ["a", "b", "a", "c"]) == 0.75


def test_macro_f1_by_hand():
    """F1 is 2/3 for a, 2/3 for b, 1 for c."""
    assert macro_f1("abc")(["a", "b", "b", "c"], ["a", "b", "a", "c"]) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_macro_f1_counts_absent_labels_of_the_task_as_zero():
    """A label of the task that never occurs lowers the mean."""
    assert macro_f1(["a", "b", "c", "d"])(["a", "b"], ["a", "b"]) == 0.5
    assert macro_f1(["x"])(["a"], ["a"]) == 0.0


def test_macro_f1_counts_labels_that_are_only_predicted():
    """They enter the mean, with 0; of an answer that is no label only its gold label knows."""
    assert macro_f1(["a", "z"])(["a", "a"], ["a", "z"]) == pytest.approx((2 / 3 + 0) / 2)
    assert macro_f1(["a"])(["a", "a"], ["a", ""]) == pytest.approx(2 / 3)


def test_counts_of_one_example():
    """Of each label in turn: right, predicted, gold."""
    assert macro_f1("abc").counts("a", "a") == (1, 1, 1, 0, 0, 0, 0, 0, 0)
    assert macro_f1("abc").counts("a", "c") == (0, 0, 1, 0, 0, 0, 0, 1, 0)
    assert accuracy.counts("a", "c") == (0, 1)


@settings(deadline=None)
@given(PAIRS, st.sets(st.sampled_from("abcde"), min_size=1).map(sorted))
def test_metrics_equal_scikit_learn(pairs, labels):
    """On any labels our numbers are scikit-learn's, within 0 and 1."""
    gold, predicted = map(list, zip(*pairs, strict=True))

    assert accuracy(gold, predicted) == pytest.approx(accuracy_score(gold, predicted))
    expected = f1_score(gold, predicted, labels=labels, average="macro", zero_division=0)
    assert macro_f1(labels)(gold, predicted) == pytest.approx(expected)
    expected = f1_score(gold, predicted, average="macro", zero_division=0)
    assert macro_f1("abcdefg", only_seen=True)(gold, predicted) == pytest.approx(expected)
    assert all(0 <= metric(gold, predicted) <= 1 for metric in (accuracy, macro_f1(labels)))


def test_macro_f1_of_two_hundred_classes_is_scikit_learns():
    """Ten thousand intents."""
    rng = np.random.default_rng(0)
    gold, other = rng.integers(200, size=(2, 10_000)).astype(str).tolist()
    predicted = [g if i % 3 else o for i, (g, o) in enumerate(zip(gold, other, strict=True))]
    labels = [str(i) for i in range(200)]

    found = macro_f1(labels)(gold, predicted)

    assert found == pytest.approx(f1_score(gold, predicted, labels=labels, average="macro"), abs=1e-12)


@settings(deadline=None)
@given(PAIRS)
def test_gold_scores_perfectly(pairs):
    """Every metric gives 1 to the gold labels themselves."""
    gold = [g for g, _ in pairs]

    assert all(metric(gold, gold) == 1 for metric in (accuracy, macro_f1(sorted(set(gold)))))


def test_metrics_accept_arrays():
    """Labels may come as an array."""
    assert macro_f1("ab")(np.array(["a", "b"]), np.array(["a", "b"])) == 1.0


@pytest.mark.parametrize("metric", [accuracy, macro_f1("ab"), mean_of(lambda gold, predicted: 1.0)])
def test_a_metric_wants_one_prediction_an_example(metric):
    """A missing prediction is an error that names both numbers, and of no examples there is no mean."""
    with pytest.raises(ValueError, match="1 predictions for 2 examples"):
        metric(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="no examples to score"):
        metric([], [])


def test_macro_f1_needs_labels():
    """An empty label set has no mean."""
    with pytest.raises(ValueError, match="at least one"):
        macro_f1([])


def test_formulas_by_hand():
    """A mean of two sums, the F1 of right, predicted and gold, a mean of these; the leading axes stay."""
    mean, f1, macro = map(formula, ("mean", "f1", "macro_f1"))
    assert mean(np.array([3.0, 4.0])) == 0.75
    assert f1(np.array([2.0, 4.0, 3.0])) == pytest.approx(2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3))
    table = np.array([[[1.0, 2.0], [0.0, 5.0]], [[3.0, 3.0], [1.0, 4.0]]])
    assert mean(table).tolist() == [[0.5, 0.0], [1.0, 0.25]]
    assert macro(np.array([[2.0, 4.0, 4.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]])).tolist() == [0.75, 0.0]


def test_nothing_found_of_nothing_is_no_success():
    """As conlleval has it; and no division by zero."""
    assert formula("f1")(np.zeros(3)) == formula("mean")(np.zeros(2)) == formula("macro_f1")(np.zeros(6)) == 0.0


def test_a_formula_that_nobody_registered_is_named():
    """With the nearest one that is known."""
    with pytest.raises(ConfigError, match="did you mean 'mean'"):
        Metric(lambda gold, predicted: (1.0,), "means", lambda gold, predicted: 1.0)([1], ["a"])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=8))
def test_a_metric_of_sums_is_a_slow_loops(found):
    """Right, predicted and gold of each example, added up one by one."""
    counts = [(right, right + more, right + missed) for right, more, missed in found]
    metric = Metric(lambda gold, predicted: counts[gold], "f1", lambda gold, predicted: 0.0)
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
    assert (metric.right("ab", "a"), metric.right("cd", "dc")) == (0.0, 1.0)
