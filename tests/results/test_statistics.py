"""Tests of lingraft.results.statistics: against scipy, plain loops, and simulations whose truth is known."""

import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.results import statistics
from lingraft.results.metrics import METRICS, SumMetric, accuracy, macro_f1, of_sums
from lingraft.results.statistics import (
    bootstrap_interval,
    bootstrap_metric_interval,
    holm,
    joint_difference,
    joint_interval,
    paired_difference,
    sum_metric_interval,
    summary,
    sums_interval,
)


def random_labels(n, rows=1, labels="abc", right=0.6, seed=0):
    """Gold labels, and rows of predictions that are right about as often as told."""
    rng = np.random.default_rng(seed)
    gold = rng.choice(list(labels), n)
    predicted = [np.where(rng.random(n) < right, gold, rng.choice(list(labels), n)).tolist() for _ in range(rows)]
    return gold.tolist(), predicted


def slow_resamples(examples, groups, resamples, seed):
    """Indices of the examples of each resample, drawn one group at a time from the same random numbers."""
    groups = [str(i).zfill(9) for i in range(examples)] if groups is None else groups
    names = sorted(set(groups))
    drawn = np.random.default_rng(seed).integers(len(names), size=(resamples, len(names)))
    return [[i for g in draw for i in range(examples) if groups[i] == names[g]] for draw in drawn]


def slow_interval(statistic, examples, groups=None, resamples=200, seed=0, level=0.95):
    """The percentile bootstrap, written out."""
    scores = [statistic(chosen) for chosen in slow_resamples(examples, groups, resamples, seed)]
    return tuple(np.percentile(scores, [50 * (1 - level), 50 * (1 + level)]))


GROUPINGS = [None, ["q", "p", "q", "r", "p", "p", "s", "s", "q", "t", "t", "r"]]


# ---- Intervals of a mean ---------------------------------------------------------------------------


@pytest.mark.parametrize("groups", GROUPINGS)
@pytest.mark.parametrize("shape", [(12,), (3, 12)])
@pytest.mark.parametrize("level", [0.95, 0.8])
def test_interval_equals_a_plain_loop(groups, shape, level):
    """Sums and products give what drawing examples one by one gives."""
    values = np.random.default_rng(1).random(shape)
    expected = slow_interval(lambda chosen: values[..., chosen].mean(), 12, groups, seed=3, level=level)

    assert bootstrap_interval(values, groups, resamples=200, seed=3, level=level) == pytest.approx(expected)


def test_interval_agrees_with_scipy():
    """With many resamples the ends are those of scipy's percentile bootstrap."""
    values = np.random.default_rng(2).exponential(size=80)
    theirs = scipy.stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=5)

    ours = bootstrap_interval(values, resamples=20_000)

    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)


@pytest.mark.parametrize("groups", [None, [str(i // 4) for i in range(100)]])
def test_interval_covers_the_truth_as_often_as_it_says(groups):
    """Of simulated accuracies, about 95 % have the true one in their interval, also with groups."""
    rng = np.random.default_rng(4)
    covered = 0
    for seed in range(300):
        hits = rng.random(100) < 0.7 if groups is None else np.repeat(rng.random(25) < 0.7, 4)
        low, high = bootstrap_interval(hits, groups, resamples=400, seed=seed)
        covered += low <= 0.7 <= high

    assert 0.88 <= covered / 300 <= 0.99


def test_groups_widen_the_interval():
    """Four copies of each example are not four times the evidence."""
    values = np.repeat(np.random.default_rng(6).random(25), 4)
    alone = bootstrap_interval(values)
    together = bootstrap_interval(values, [str(i // 4) for i in range(100)])

    assert (together[1] - together[0]) / (alone[1] - alone[0]) == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e9])
@pytest.mark.parametrize("groups", [None, ["a", "a", "b", "c", "c", "c", "c"]])
def test_constant_values_have_no_width(value, groups):
    """Where all examples agree, so do all resamples, to the last bit."""
    low, high = bootstrap_interval(np.full((3, 7), value), groups)

    assert low == high == pytest.approx(value)


@pytest.mark.parametrize(("values", "groups"), [([0.3], None), ([[0.2], [0.4]], None), ([0.2, 0.4], ["a", "a"])])
def test_one_example_or_group_has_no_width(values, groups):
    """What can only be drawn again and again is a point."""
    assert bootstrap_interval(values, groups) == pytest.approx((0.3, 0.3))


def test_rows_are_resampled_together():
    """Two units that cancel out in every example leave no uncertainty."""
    hits = np.random.default_rng(7).random(50) < 0.5

    assert bootstrap_interval([hits, ~hits]) == (0.5, 0.5)


def test_a_higher_level_is_a_wider_interval():
    """Certainty costs width."""
    values = np.random.default_rng(8).random(50)
    narrow, wide = bootstrap_interval(values, level=0.5), bootstrap_interval(values, level=0.99)

    assert wide[0] < narrow[0] < values.mean() < narrow[1] < wide[1]


def test_same_seed_same_interval():
    """The seed alone decides what is drawn."""
    values = np.random.default_rng(9).random(50)

    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_drawing_in_pieces_changes_nothing(monkeypatch):
    """Many examples are resampled a few times at once, with the same result."""
    values = np.random.default_rng(10).random(51)
    whole = bootstrap_interval(values, resamples=101)
    monkeypatch.setattr(statistics, "_CHUNK", 200)

    assert bootstrap_interval(values, resamples=101) == pytest.approx(whole)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_interval_lies_within_the_values(values):
    """A resampled mean is never beyond the extremes."""
    low, high = bootstrap_interval(values, resamples=50)
    slack = 1e-9 * (1 + max(map(abs, values)))

    assert min(values) - slack <= low <= high <= max(values) + slack


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "some numbers"),
        (([[]],), "some numbers"),
        ((np.zeros((1, 1, 1)),), "1 or 2 dimensions"),
        (([1.0, np.nan],), "1 of 2 numbers are not finite"),
        (([1.0, 2.0], ["a"]), "1 groups for 2 examples"),
    ],
)
def test_what_cannot_be_averaged_is_refused(arguments, message):
    """Nothing, holes, and groups of another length are errors."""
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(*arguments)


@pytest.mark.parametrize("options", [{"resamples": 0}, {"level": 0.0}, {"level": 95}])
def test_impossible_options_are_refused(options):
    """No resamples, and levels in percent, are errors."""
    with pytest.raises(ValueError, match=r"expected at least one resample|level lies between"):
        bootstrap_interval([0.0, 1.0], **options)


# ---- Intervals of a metric -------------------------------------------------------------------------


@pytest.mark.parametrize("groups", GROUPINGS)
@pytest.mark.parametrize("labels", [None, ["a", "b", "c", "never"], ["a", "b"]])
def test_macro_f1_interval_equals_a_plain_loop(groups, labels):
    """Counts give what calling the metric on every resample gives, whatever the label set."""
    gold, rows = random_labels(12, rows=3)

    def statistic(chosen):
        return np.mean([macro_f1([gold[i] for i in chosen], [row[i] for i in chosen], labels) for row in rows])

    ours = bootstrap_metric_interval(gold, rows, "macro_f1", groups, labels=labels, resamples=200, seed=3)

    assert ours == pytest.approx(slow_interval(statistic, 12, groups, seed=3))


@pytest.mark.parametrize("groups", GROUPINGS)
@pytest.mark.parametrize("name", METRICS)
def test_a_name_its_function_and_any_other_function_agree(groups, name):
    """The fast way by name and the slow way through a function that we do not know are one."""
    gold, rows = random_labels(12, rows=2)
    unknown = lambda gold, predicted: METRICS[name](gold, predicted)  # noqa: E731

    by_name, by_function, by_call = (
        bootstrap_metric_interval(gold, rows, metric, groups, resamples=100)
        for metric in (name, METRICS[name], unknown)
    )

    assert by_name == by_function
    assert by_name == pytest.approx(by_call)


def test_accuracy_interval_is_that_of_a_mean():
    """Accuracy is the mean of hits."""
    gold, rows = random_labels(40, rows=2)
    hits = np.array(rows) == np.array(gold)

    assert bootstrap_metric_interval(gold, rows, accuracy) == bootstrap_interval(hits)


def test_perfect_predictions_have_no_width():
    """A model without errors scores 1 on every resample."""
    gold, _ = random_labels(30)

    assert bootstrap_metric_interval(gold, [gold], "macro_f1") == (1.0, 1.0)


def test_macro_f1_of_a_benchmark_is_fast():
    """Two thousand resamples of SIB-200's 204 test sentences for four units stay well below a second."""
    gold, rows = random_labels(204, rows=4, labels="abcdefg")
    start = time.process_time()
    low, high = bootstrap_metric_interval(gold, rows, "macro_f1")

    assert time.process_time() - start < 1
    assert low < np.mean([macro_f1(gold, row) for row in rows]) < high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], "accuracy"), "expected labels"),
        ((["a"], [], "accuracy"), "expected labels"),
        ((["a"], ["a"], "accuracy"), "expected labels"),
        ((["a", "b"], [["a"]], "accuracy"), r"not \(2,\) and \(1, 1\)"),
        ((["a"], [["a"]], "f2"), "unknown metric 'f2'; known: accuracy, macro_f1"),
        ((["a"], [["a"]], "macro_f1", ["p", "q"]), "2 groups for 1 examples"),
    ],
)
def test_what_cannot_be_scored_is_refused(arguments, message):
    """Rows that do not match gold, and unknown metrics, are errors."""
    with pytest.raises(ValueError, match=message):
        bootstrap_metric_interval(*arguments)


def test_macro_f1_interval_needs_labels():
    """An empty label set has no mean."""
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_metric_interval(["a"], [["a"]], "macro_f1", labels=[])


# ---- Differences -----------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", GROUPINGS)
def test_difference_equals_a_plain_loop(groups):
    """Mean, ends and p-value are those of drawing sentences one by one, for all languages and units at once."""
    rng = np.random.default_rng(11)
    a, b = rng.random((2, 3, 12)) + 0.1, rng.random((2, 3, 12))
    resampled = []
    for chosen in slow_resamples(12, groups, 300, seed=2):
        languages = [np.mean([np.mean(a[k, u, chosen] - b[k, u, chosen]) for u in range(3)]) for k in range(2)]
        resampled.append(np.mean(languages))
    tail = min(sum(d <= 0 for d in resampled), sum(d >= 0 for d in resampled))

    difference = paired_difference(a, b, groups, resamples=300, seed=2)

    assert difference.mean == pytest.approx((a - b).mean())
    assert (difference.low, difference.high) == pytest.approx(tuple(np.percentile(resampled, [2.5, 97.5])))
    assert difference.p_value == pytest.approx(min(1, 2 * (tail + 1) / 301))


def test_a_method_does_not_differ_from_itself():
    """The difference of equals is 0 with certainty, and its p-value is 1."""
    a = np.random.default_rng(12).random((2, 2, 30))
    difference = paired_difference(a, a)

    assert (difference.mean, difference.low, difference.high, difference.p_value) == (0, 0, 0, 1)


def test_a_sure_difference_has_the_smallest_p_value():
    """A p-value is never 0: the observed sample counts as a resample."""
    difference = paired_difference(np.ones((1, 1, 20)), np.zeros((1, 1, 20)), resamples=999)

    assert (difference.low, difference.high) == (1, 1)
    assert difference.p_value == 2 / 1000


def test_exchanging_the_methods_mirrors_the_difference():
    """What a gains over b, b loses to a, equally surely."""
    rng = np.random.default_rng(13)
    a, b = rng.random((2, 2, 40)), rng.random((2, 2, 40))
    forth, back = paired_difference(a, b), paired_difference(b, a)

    assert (forth.mean, forth.low, forth.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert forth.p_value == back.p_value


def test_languages_are_not_independent_evidence():
    """The same sentences in five languages leave the interval as wide as in one."""
    rng = np.random.default_rng(14)
    a, b = rng.random((1, 1, 60)), rng.random((1, 1, 60))
    one, five = paired_difference(a, b), paired_difference(np.tile(a, (5, 1, 1)), np.tile(b, (5, 1, 1)))

    assert (one.low, one.high) == pytest.approx((five.low, five.high))


def test_p_values_of_equal_methods_are_small_as_rarely_as_they_should():
    """Where nothing differs, about one test in twenty falls below 0.05."""
    rng = np.random.default_rng(15)
    small = 0
    for seed in range(300):
        a, b = rng.random((2, 1, 1, 80)) < 0.6
        small += paired_difference(a, b, resamples=400, seed=seed).p_value < 0.05

    assert 0.01 <= small / 300 <= 0.11


def test_pairing_needs_equal_shapes():
    """Methods that answered different examples cannot be paired."""
    with pytest.raises(ValueError, match=r"not \(1, 1, 3\) and \(1, 1, 4\)"):
        paired_difference(np.zeros((1, 1, 3)), np.zeros((1, 1, 4)))
    with pytest.raises(ValueError, match="3 dimensions"):
        paired_difference(np.zeros((1, 3)), np.zeros((1, 3)))


# ---- Spread ----------------------------------------------------------------------------------------


def test_summary_by_hand():
    """Mean, spread with one degree of freedom lost, and the lowest."""
    found = summary([0.5, 0.7, 0.6])

    assert (found.mean, found.standard_deviation, found.worst, found.n) == pytest.approx((0.6, 0.1, 0.5, 3))


def test_one_draw_has_no_spread():
    """A single score says nothing about others, which is not a spread of 0."""
    assert summary([0.5]) == statistics.Summary(0.5, None, 0.5, 1)


@pytest.mark.parametrize("values", [[], [0.5, np.nan]])
def test_summary_of_nothing_is_refused(values):
    """No scores, or holes among them, are errors."""
    with pytest.raises(ValueError, match=r"some numbers|not finite"):
        summary(values)


def test_statistics_need_no_torch():
    """Yesterday's scores become a report where torch is not installed."""
    code = "import sys; import lingraft.results.statistics; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "False"


# ---- Several languages -----------------------------------------------------------------------------


def right(languages, units, examples, seed=0):
    """Random right and wrong answers ``[U, N]`` for each language."""
    rng = np.random.default_rng(seed)
    return [(rng.random((units, examples)) < 0.6).astype(float) for _ in range(languages)]


def test_joint_difference_is_paired_difference_where_all_languages_share_their_sentences():
    """Joint difference is paired difference where all languages share their sentences."""
    a, b = right(3, 2, 20), right(3, 2, 20, seed=1)
    names = [f"s{i:02}" for i in range(20)]

    ours, reference = joint_difference(a, b, [names] * 3), paired_difference(np.stack(a), np.stack(b), names)

    assert ours.mean == pytest.approx(reference.mean)
    assert (ours.low, ours.high) == pytest.approx((reference.low, reference.high))
    assert ours.p_value == reference.p_value


def test_joint_interval_draws_a_shared_sentence_once_whatever_its_place():
    """Joint interval draws a shared sentence once whatever its place."""
    a = right(1, 1, 30)[0]
    names = [f"s{i:02}" for i in range(30)]
    order = np.random.default_rng(3).permutation(30)

    joint = joint_interval([a, a[:, order]], [names, [names[i] for i in order]])

    assert joint == pytest.approx(bootstrap_interval(a, names))  # two copies tell no more than one


def test_joint_interval_of_other_sentences_is_narrower_than_of_the_same():
    """Joint interval of other sentences is narrower than of the same."""
    a, b = right(2, 1, 60)
    names = [f"s{i:02}" for i in range(60)]

    low, high = joint_interval([a, a], [names, names])
    low_other, high_other = joint_interval([a, b], [names, [f"t{i:02}" for i in range(60)]])

    assert high_other - low_other < high - low


def test_joint_difference_refuses_other_shapes():
    """Joint difference refuses other shapes."""
    with pytest.raises(ValueError, match="same units and examples"):
        joint_difference(right(1, 1, 5), right(1, 2, 5), [list("abcde")])
    with pytest.raises(ValueError, match="lists of groups"):
        joint_interval([], [])


def test_holm_by_hand():
    """Holm by hand."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


# ---- Metrics of sums -------------------------------------------------------------------------------


def counts(units, examples, width, seed=0):
    """What examples add to a mean (score, 1) or to an F1 (right, predicted, gold): ``[U, N, K]``."""
    rng = np.random.default_rng(seed)
    if width == 2:
        return np.stack([rng.random((units, examples)), np.ones((units, examples))], axis=-1)
    predicted, gold = rng.integers(0, 4, (2, units, examples))
    return np.stack([rng.integers(0, np.minimum(predicted, gold) + 1), predicted, gold], axis=-1).astype(float)


def slow_ratio(rows):
    """A mean, or an F1 from precision and recall, one example at a time."""
    totals = [sum(float(row[k]) for row in rows) for k in range(len(rows[0]))]
    if len(totals) == 2:
        return totals[0] / totals[1]
    precision = totals[0] / totals[1] if totals[1] else 0.0
    recall = totals[0] / totals[2] if totals[2] else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def slow_metric(table, chosen):
    """Mean over units of the metric of the chosen examples."""
    return sum(slow_ratio([unit[i] for i in chosen]) for unit in table) / len(table)


@pytest.mark.parametrize("groups", GROUPINGS)
@pytest.mark.parametrize("width", [2, 3])
def test_the_interval_of_sums_equals_a_plain_loop(groups, width):
    """Of one metric, and of the difference of two on the same examples."""
    one, other = counts(3, 12, width), counts(3, 12, width, seed=1)
    alone = slow_interval(lambda chosen: slow_metric(one, chosen), 12, groups, seed=3)
    apart = slow_interval(lambda chosen: slow_metric(one, chosen) - slow_metric(other, chosen), 12, groups, seed=3)

    assert sums_interval([one], groups, resamples=200, seed=3) == pytest.approx(alone)
    assert sums_interval([one, other], groups, resamples=200, seed=3) == pytest.approx(apart)
    assert sum_metric_interval(
        SumMetric(lambda gold, predicted: (), of_sums), one[0], groups, resamples=200, seed=3
    ) == pytest.approx(slow_interval(lambda chosen: slow_ratio([one[0][i] for i in chosen]), 12, groups, seed=3))


def test_right_and_wrong_are_sums_like_any():
    """The interval of an accuracy is the same, whichever way it is computed."""
    values = right(1, 2, 25)[0]
    table = np.stack([values, np.ones_like(values)], axis=-1)

    assert sums_interval([table]) == pytest.approx(bootstrap_interval(values))


def slow_joint(sides, groups, resamples, seed):
    """Resampled mean over languages: those with the same groups share draws, others have their own."""
    sets = []
    for names in groups:
        if set(names) not in sets:
            sets.append(set(names))
    drawn = [slow_resamples(len(names), names, resamples, seed + sets.index(set(names))) for names in groups]
    return [
        np.mean([slow_metric(table, chosen[r]) for table, chosen in zip(sides, drawn, strict=True)])
        for r in range(resamples)
    ]


@pytest.mark.parametrize("width", [2, 3])
def test_joint_sums_equal_a_plain_loop(width):
    """Two languages share their paragraphs, in another order; a third has its own."""
    groups = [list("aabbccdd"), list("ddaabbcc"), list("xxyyzz")]
    a = [counts(2, len(names), width, seed=i) for i, names in enumerate(groups)]
    b = [counts(2, len(names), width, seed=i + 9) for i, names in enumerate(groups)]
    ours, theirs = (np.array(slow_joint(side, groups, 150, 4)) for side in (a, b))
    low, high = np.percentile(ours, [2.5, 97.5])

    assert joint_interval(a, groups, resamples=150, seed=4) == pytest.approx((low, high))

    found = joint_difference(a, b, groups, resamples=150, seed=4)
    whole = [np.mean([slow_metric(one, range(one.shape[1])) for one in side]) for side in (a, b)]
    low, high = np.percentile(ours - theirs, [2.5, 97.5])
    tail = min(np.count_nonzero(ours - theirs <= 1e-12), np.count_nonzero(ours - theirs >= -1e-12))
    assert (found.mean, found.low, found.high) == pytest.approx((whole[0] - whole[1], low, high))
    assert found.p_value == pytest.approx(min(1.0, 2 * (1 + tail) / 151))


def test_sums_without_numbers_are_refused():
    """Nothing to add up, and what is not finite."""
    with pytest.raises(ValueError, match="3 dimensions"):
        sums_interval([np.ones((2, 3))])
    with pytest.raises(ValueError, match="not finite"):
        sums_interval([np.full((1, 2, 2), np.nan)])
