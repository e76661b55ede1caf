"""What is said of two texts: against values computed by hand, and one by one."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.model.comparison.features import DEPTHS, NAMES, TextStates, compare_texts, share_of_inversions

DISTINCT = torch.eye(8)


def text(*ids):
    """A text whose tokens have states of their own, the same after each layer and wherever they stand."""
    return TextStates(list(ids), DISTINCT[list(ids)].expand(len(DEPTHS), -1, -1))


def features(first, second):
    """By name."""
    return dict(zip(NAMES, compare_texts(first, second).tolist(), strict=True))


def test_equal_texts_differ_in_nothing():
    """All tokens are aligned in order and alike, and the whole is one common piece."""
    found = features(text(1, 2, 3), text(1, 2, 3))
    assert found["aligned tokens that change places"] == 0
    assert found["aligned share of the first text"] == found["aligned share of the second text"] == 1
    assert all(value == pytest.approx(1) for name, value in found.items() if "cosine" in name)
    assert (found["number of common pieces"], found["longest common piece"], found["difference of the lengths"]) == (
        1,
        1,
        0,
    )


def test_two_words_that_change_places_are_one_inversion():
    """Of six pairs of four tokens; the same words, two of six different neighbours, pieces of two, one and one."""
    found = features(text(1, 2, 3, 4), text(1, 3, 2, 4))
    assert found["aligned tokens that change places"] == pytest.approx(1 / 6)
    assert found["tokens that both have once and that change places"] == pytest.approx(1 / 6)
    assert found["share of common tokens"] == 1
    assert found["share of common neighbours"] == 0


def test_a_token_that_stands_twice_is_none_that_both_have_once():
    """It is not known which is which."""
    found = features(text(1, 1, 2, 3), text(1, 3, 2))
    assert found["tokens that both have once and that change places"] == 1  # 2 and 3 alone
    assert (found["share of common tokens"], found["length of the first text"]) == (1, 4)


def test_texts_without_content_or_anything_in_common_have_numbers():
    """None of them is a division by zero."""
    for pair in ((text(), text(1)), (text(), text()), (text(1), text(2))):
        assert compare_texts(*pair).isfinite().all()


@settings(deadline=None)
@given(st.permutations(range(7)))
def test_inversions_are_counted_as_one_by_one(order):
    """The share of pairs that stand the other way round."""
    slow = sum(a > b for a, b in combinations(order, 2)) / 21
    assert share_of_inversions(torch.tensor(order)) == pytest.approx(slow)
