"""Tests of lingraft.results.resampling: against scipy, and against loops that draw examples one by one."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from lingraft.results.metrics import accuracy, formula, formulas, macro_f1
from lingraft.results.resampling import resample, resample_jointly
from lingraft.results.statistics import interval

GROUPINGS = [12, ["q", "p", "q", "r", "p", "p", "s", "s", "q", "t", "t", "r"]]


def slow_resamples(groups, resamples, seed):
    """Indices of the examples of each resample, drawn one group at a time from the same random numbers."""
    groups = [str(i).zfill(9) for i in range(groups)] if isinstance(groups, int) else groups
    names = sorted(set(groups))
    drawn = np.random.default_rng(seed).integers(len(names), size=(resamples, len(names)))
    return [[i for g in draw for i in range(len(groups)) if groups[i] == names[g]] for draw in drawn]


def random_labels(n, rows=1, labels="abc", right=0.6, seed=0):
    """Gold labels, and rows of predictions that are right about as often as told."""
    rng = np.random.default_rng(seed)
    gold = rng.choice(list(labels), n)
    predicted = [np.where(rng.random(n) < right, gold, rng.choice(list(labels), n)).tolist() for _ in range(rows)]
    return gold.tolist(), predicted


def counts(trials, examples, width, seed=0):
    """What examples add to a mean (score, 1), to an F1 (right, predicted, gold) or to two of them: ``[U, N, K]``."""
    rng = np.random.default_rng(seed)
    if width == 2:
        return np.stack([rng.random((trials, examples)), np.ones((trials, examples))], axis=-1)
    if width == 6:
        return np.concatenate([counts(trials, examples, 3, seed + i) for i in range(2)], axis=-1)
    predicted, gold = rng.integers(0, 4, (2, trials, examples))
    return np.stack([rng.integers(0, np.minimum(predicted, gold) + 1), predicted, gold], axis=-1).astype(float)


FORMULAS = {2: "mean", 3: "f1", 6: "macro_f1"}


def slow_ratio(rows):
    """A mean, an F1 from precision and recall, or a mean of these, one example at a time."""
    totals = [sum(float(row[k]) for row in rows) for k in range(len(rows[0]))]
    if len(totals) == 2:
        return totals[0] / totals[1]
    if len(totals) == 6:
        return (slow_ratio([row[:3] for row in rows]) + slow_ratio([row[3:] for row in rows])) / 2
    precision = totals[0] / totals[1] if totals[1] else 0.0
    recall = totals[0] / totals[2] if totals[2] else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def slow_metric(table, chosen):
    """Mean over trials of the metric of the chosen examples."""
    return sum(slow_ratio([trial[i] for i in chosen]) for trial in table) / len(table)


# ---- Means -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", GROUPINGS)
@pytest.mark.parametrize("rows", [1, 3])
def test_means_equal_a_plain_loop(groups, rows):
    """Sums and products give what drawing examples one by one gives, resample by resample."""
    values = np.random.default_rng(1).random((rows, 12))
    expected = [values[:, chosen].mean() for chosen in slow_resamples(groups, 200, seed=3)]

    assert resample(groups, resamples=200, seed=3).means(values) == pytest.approx(expected)


def test_interval_agrees_with_scipy():
    """With many resamples the ends are those of scipy's percentile bootstrap."""
    values = np.random.default_rng(2).exponential(size=80)
    theirs = scipy.stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=5)

    ours = interval(resample(80, resamples=20_000).means(values[None]))

    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)


@pytest.mark.parametrize("groups", [100, [str(i // 4) for i in range(100)]])
def test_interval_covers_the_truth_as_often_as_it_says(groups):
    """Of simulated accuracies, about 95 % have the true one in their interval, also with groups."""
    rng = np.random.default_rng(4)
    covered = 0
    for seed in range(300):
        hits = rng.random(100) < 0.7 if groups == 100 else np.repeat(rng.random(25) < 0.7, 4)
        low, high = interval(resample(groups, resamples=400, seed=seed).means([hits]))
        covered += low <= 0.7 <= high

    assert 0.88 <= covered / 300 <= 0.99


def test_groups_widen_the_interval():
    """Four copies of each example are not four times the evidence."""
    values = np.repeat(np.random.default_rng(6).random(25), 4)[None]
    alone = interval(resample(100).means(values))
    together = interval(resample([str(i // 4) for i in range(100)]).means(values))

    assert (together[1] - together[0]) / (alone[1] - alone[0]) == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e9])
@pytest.mark.parametrize("groups", [7, ["a", "a", "b", "c", "c", "c", "c"]])
def test_constant_values_have_no_width(value, groups):
    """Where all examples agree, so do all resamples, to the last bit."""
    low, high = interval(resample(groups).means(np.full((3, 7), value)))

    assert low == high == pytest.approx(value)


@pytest.mark.parametrize(("values", "groups"), [([[0.3]], 1), ([[0.2], [0.4]], 1), ([[0.2, 0.4]], ["a", "a"])])
def test_one_example_or_group_has_no_width(values, groups):
    """What can only be drawn again and again is a point."""
    assert interval(resample(groups).means(values)) == pytest.approx((0.3, 0.3))


def test_trials_are_resampled_together():
    """Two trials that cancel out in every example leave no uncertainty."""
    hits = np.random.default_rng(7).random(50) < 0.5

    assert interval(resample(50).means([hits, ~hits])) == (0.5, 0.5)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_resamples_lie_within_the_values(values):
    """A resampled mean is never beyond the extremes."""
    found = resample(len(values), resamples=50).means([values])
    slack = 1e-9 * (1 + max(map(abs, values)))

    assert min(values) - slack <= found.min() <= found.max() <= max(values) + slack


# ---- Draws -----------------------------------------------------------------------------------------


def test_same_seed_same_draws():
    """The seed alone decides what is drawn."""
    first, again, other = (resample(50, seed=seed).times for seed in (1, 1, 2))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_resample_draws_as_many_groups_as_there_are():
    """So no group can come more often than a byte counts."""
    assert resample(300, resamples=100).times.sum(axis=1, dtype=int).tolist() == [300] * 100
    assert resample(["a"] * 300, resamples=3).times.tolist() == [[1]] * 3


def test_more_resamples_begin_with_the_fewer():
    """An interval that reads the first of them does not depend on how many follow."""
    assert np.array_equal(resample(51, resamples=300).times[:101], resample(51, resamples=101).times)


def test_drawing_in_pieces_changes_nothing():
    """Many examples are resampled a few times at once, with the result of fewer resamples and of one product."""
    count = 100_000
    values = np.random.default_rng(10).random((1, count))
    few, more = resample(count, resamples=30), resample(count, resamples=50)

    assert np.array_equal(more.times[:30], few.times)
    assert more.means(values) == pytest.approx(more.times @ values[0] / count)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[]], r"expected numbers \[U, N\] of N = 2 examples, not \(1, 0\)"),
        ([1.0, 2.0], r"not \(2,\)"),
        ([[1.0, 2.0, 3.0]], r"not \(1, 3\)"),
        ([[1.0, np.nan]], "1 of 2 numbers are not finite"),
    ],
)
def test_what_cannot_be_averaged_is_refused(values, message):
    """Nothing, holes, and other examples than were drawn from are errors."""
    with pytest.raises(ValueError, match=message):
        resample(2).means(values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0,), "no examples to draw"), (([],), "no examples to draw")],
)
def test_nothing_cannot_be_drawn(arguments, message):
    """Neither from no examples nor no times."""
    with pytest.raises(ValueError, match=message):
        resample(*arguments)
    with pytest.raises(ValueError, match="at least one resample"):
        resample(2, resamples=0)
    with pytest.raises(ValueError, match="no languages"):
        resample_jointly([])


# ---- Metrics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", GROUPINGS)
@pytest.mark.parametrize("width", FORMULAS)
def test_a_metric_of_sums_equals_a_plain_loop(groups, width):
    """Each resample scores what it would if the examples were copied and scored anew."""
    table = counts(3, 12, width)
    expected = [slow_metric(table, chosen) for chosen in slow_resamples(groups, 200, seed=3)]

    found = resample(groups, resamples=200, seed=3).metric(formula(FORMULAS[width]), table)

    assert found == pytest.approx(expected)


@pytest.mark.parametrize("groups", GROUPINGS)
@pytest.mark.parametrize("labels", [["a", "b", "c", "never"], ["a", "b"], None])
def test_macro_f1_of_resamples_is_scikit_learns(groups, labels):
    """Sums of counts give what calling scikit-learn on every resample gives, with a label set and without."""
    gold, rows = random_labels(12, rows=3)
    metric = macro_f1("abc", only_seen=True) if labels is None else macro_f1(labels)

    def slow(chosen):
        truth = [gold[i] for i in chosen]
        guesses = [[row[i] for i in chosen] for row in rows]
        return np.mean([f1_score(truth, g, labels=labels, average="macro", zero_division=0) for g in guesses])

    found = resample(groups, resamples=200, seed=3).metric(
        formula(metric.formula), np.stack([metric.table(gold, row) for row in rows])
    )

    assert found == pytest.approx([slow(chosen) for chosen in slow_resamples(groups, 200, seed=3)])


def test_accuracy_is_a_mean_of_hits():
    """Whichever way it is computed."""
    gold, rows = random_labels(40, rows=2)
    table = np.stack([accuracy.table(gold, row) for row in rows])
    drawn = resample(40)

    assert drawn.metric(formula("mean"), table) == pytest.approx(drawn.means(np.array(rows) == np.array(gold)))


def test_perfect_predictions_have_no_width():
    """A model without errors scores 1 on every resample."""
    gold, _ = random_labels(30)
    table = macro_f1("abc").table(gold, gold)[None]

    assert interval(resample(30).metric(formula("macro_f1"), table)) == (1.0, 1.0)


def test_a_registered_formula_is_resampled_as_any():
    """Accuracy less what guessing would reach, of sums that are neither a mean nor an F1."""

    @formulas.register("kappa_of_tests")
    def kappa():
        def of_sums(sums):  # of two classes: right, gold and predicted of the first, examples
            right, gold, predicted, n = np.moveaxis(sums, -1, 0) / sums[..., -1]
            chance = gold * predicted + (n - gold) * (n - predicted)
            return (right - chance) / (1 - chance)

        return of_sums

    gold, (predicted,) = random_labels(60, labels="ab")
    table = np.array([[g == p, g == "a", p == "a", 1] for g, p in zip(gold, predicted, strict=True)], dtype=float)

    def slow(chosen):
        truth, guess = [gold[i] for i in chosen], [predicted[i] for i in chosen]
        agree = np.mean([g == p for g, p in zip(truth, guess, strict=True)])
        chance = sum((truth.count(label) / 60) * (guess.count(label) / 60) for label in "ab")
        return (agree - chance) / (1 - chance)

    found = resample(60, resamples=50, seed=1).metric(formula("kappa_of_tests"), table[None])

    assert found == pytest.approx([slow(chosen) for chosen in slow_resamples(60, 50, seed=1)])


# ---- Several languages -----------------------------------------------------------------------------


@pytest.mark.parametrize("width", FORMULAS)
def test_languages_share_the_draws_of_what_they_share(width):
    """Two languages share their paragraphs, in another order; a third has its own."""
    groups = [list("aabbccdd"), list("ddaabbcc"), list("xxyyzz")]
    tables = [counts(2, len(names), width, seed=i) for i, names in enumerate(groups)]
    chosen = [slow_resamples(names, 150, 4 + (i == 2)) for i, names in enumerate(groups)]
    expected = [[slow_metric(table, one[r]) for r in range(150)] for table, one in zip(tables, chosen, strict=True)]

    drawn = resample_jointly(groups, resamples=150, seed=4)
    found = [one.metric(formula(FORMULAS[width]), table) for one, table in zip(drawn, tables, strict=True)]

    assert np.array(found) == pytest.approx(np.array(expected))
    assert drawn[0].times is drawn[1].times


def test_a_shared_sentence_is_drawn_once_whatever_its_place():
    """Two copies tell no more than one."""
    hits = (np.random.default_rng(0).random((1, 30)) < 0.6).astype(float)
    names = [f"s{i:02}" for i in range(30)]
    order = np.random.default_rng(3).permutation(30)
    one, other = resample_jointly([names, [names[i] for i in order]])

    assert one.means(hits) == pytest.approx(other.means(hits[:, order]))


def test_other_sentences_are_more_evidence_than_the_same():
    """The mean over languages varies less where their sentences are drawn on their own."""
    a, b = (np.random.default_rng(0).random((2, 1, 60)) < 0.6).astype(float)
    names = [f"s{i:02}" for i in range(60)]
    same = resample_jointly([names, names])
    apart = resample_jointly([names, [f"t{i:02}" for i in range(60)]])

    wide, narrow = ((one.means(a) + two.means(b)).std() for one, two in (same, apart))
    together = (same[0].means(a) + same[1].means(a)).std()
    assert narrow < together
    assert wide != narrow
