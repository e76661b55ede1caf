"""Rank correlation and weighted kappa of ordered labels, against SciPy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from lingraft.results.metrics.ordinal import quadratic_kappa, spearman

LABELS = ("zzz", "fair", "good", "very good", "aaa")  # whose order is not the alphabet's
pairs = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=2, max_size=40)


def numbers(answers):
    """The places of labels in their order."""
    return [LABELS.index(answer) for answer in answers]


@given(pairs.filter(lambda found: all(len(set(side)) > 1 for side in zip(*found, strict=True))))
@settings(max_examples=200)
def test_spearman_is_scipys(found):
    """With ties, which labels have many of."""
    gold, given_ = map(list, zip(*found, strict=True))
    expected = spearmanr(numbers(gold), numbers(given_)).statistic
    assert spearman(LABELS)(gold, given_) == pytest.approx(expected, abs=1e-9)


@given(pairs.filter(lambda found: len({label for pair in found for label in pair}) > 1))
@settings(max_examples=200)
def test_kappa_is_scikit_learns(found):
    """With quadratic weights."""
    gold, given_ = map(list, zip(*found, strict=True))
    expected = cohen_kappa_score(numbers(gold), numbers(given_), weights="quadratic", labels=range(len(LABELS)))
    assert quadratic_kappa(LABELS)(gold, given_) == pytest.approx(expected, abs=1e-9)


@given(pairs, st.integers(0, 2**32 - 1))
def test_resamples_are_scored_from_their_sums(found, seed):
    """As if their examples had been scored: what a bootstrap rests on."""
    gold, given_ = map(list, zip(*found, strict=True))
    rows = np.random.default_rng(seed).integers(len(found), size=(3, len(found)))
    for metric in (spearman(LABELS), quadratic_kappa(LABELS)):
        sums = metric.table(gold, given_)[rows].sum(1)
        again = [metric([gold[i] for i in one], [given_[i] for i in one]) for one in rows]
        np.testing.assert_allclose(metric.made(sums), again, atol=1e-12)


def test_one_answer_for_all_is_worth_nothing():
    """Nothing is ranked by it; and what is no label is left out."""
    for metric in (spearman(LABELS), quadratic_kappa(LABELS)):
        assert metric(["zzz", "good", "aaa"], ["fair"] * 3) == pytest.approx(0, abs=1e-9)
        assert metric(["zzz", "aaa", "other"], ["zzz", "aaa", "good"]) == pytest.approx(1)
