"""What training did to the source language's development score."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from lingraft.core.examples import PairExample
from lingraft.results.metrics import accuracy, macro_f1
from lingraft.results.resampling import resample
from lingraft.training.source_change import compare_answers

ANSWERS, SHARES = st.sampled_from("xyz"), (0.0, 1.0)


def examples(gold, groups=None):
    """Texts with their labels, each a group of its own or as said."""
    return [
        PairExample(id=f"{i}", language="eng-Latn", group=str(groups[i]) if groups else f"{i}", label=label)
        for i, label in enumerate(gold)
    ]


@given(st.lists(st.tuples(ANSWERS, ANSWERS, ANSWERS, st.integers(0, 3)), min_size=2, max_size=12))
def test_the_interval_is_that_of_differences_on_the_same_resamples(rows):
    """Groups drawn with replacement, and both sides scored on the examples drawn: one resample at a time."""
    gold, before, after, groups = zip(*rows, strict=True)
    metric = macro_f1("xyz")
    found = compare_answers(before, after, examples(gold, groups), metric, SHARES)
    assert (found["n"], found["before"], found["after"]) == (len(gold), metric(gold, before), metric(gold, after))
    drawn = resample(list(map(str, groups)))
    differences = []
    for times in drawn.times[:, drawn.membership] if drawn.groups > 1 else ():
        chosen = np.repeat(np.arange(len(gold)), times)
        gold_, before_, after_ = ([side[i] for i in chosen] for side in (gold, before, after))
        differences.append(metric(gold_, after_) - metric(gold_, before_))
    expected = np.quantile(differences, [0.025, 0.975]) if differences else (None, None)
    if differences and np.ptp(differences) < 1e-12:  # no group seen makes a difference: few can
        value, rare = differences[0], binomtest(0, drawn.groups).proportion_ci(method="exact").high
        expected = value - rare * (value + 1), value + rare * (1 - value)
    assert [found["low"], found["high"]] == pytest.approx(list(expected), abs=1e-9)


def test_four_answers_that_did_not_change_say_little_of_others():
    """Where no disagreement was seen among four, up to 60 % may be."""
    found = compare_answers("xyxy", "xyxy", examples("xxyy"), accuracy, SHARES)
    most = binomtest(0, 4).proportion_ci(method="exact").high
    assert found == {"n": 4, "before": 0.5, "after": 0.5, "low": pytest.approx(-most), "high": pytest.approx(most)}


def test_one_group_has_no_interval():
    """Every resample would be the same."""
    found = compare_answers("xx", "xy", examples("xx", [1, 1]), accuracy, SHARES)
    assert found == {"n": 2, "before": 1.0, "after": 0.5, "low": None, "high": None}
