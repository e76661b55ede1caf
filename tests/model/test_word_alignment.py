"""Mutual nearest neighbours of frozen states."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lingraft.model.word_alignment import align_tokens, content


def plain_alignment(source, target):
    """Each token's nearest on the other side, by cosines of centred vectors, one pair at a time."""

    def centred(side):
        means = [sum(column) / len(side) for column in zip(*side, strict=True)]
        return [[x - mean for x, mean in zip(row, means, strict=True)] for row in side]

    def cosine(a, b):
        norms = math.hypot(*a) * math.hypot(*b)
        return sum(x * y for x, y in zip(a, b, strict=True)) / norms if norms else 0.0

    source, target = centred(source.double().tolist()), centred(target.double().tolist())
    table = [[cosine(a, b) for b in target] for a in source]
    forth = [row.index(max(row)) for row in table]
    back = [column.index(max(column)) for column in zip(*table, strict=True)]
    return [[a, b] for a, b in enumerate(forth) if back[b] == a]


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 999))
def test_alignments_equal_a_double_loop(rows, columns, seed):
    """On random states of any size, crowded in one corner."""
    generator = torch.Generator().manual_seed(seed)
    source, target = (20 + torch.randn(count, 5, generator=generator) for count in (rows, columns))
    found = align_tokens(source, target)
    assert found.dtype == torch.long
    assert found.tolist() == plain_alignment(source, target)


def test_shuffled_words_find_each_other():
    """A translation in another order, whose language has a mean of its own."""
    source = torch.randn(6, 32, generator=torch.Generator().manual_seed(0))
    order = [3, 5, 1, 0, 4, 2]
    assert align_tokens(source, source[order] + 50).tolist() == sorted([word, at] for at, word in enumerate(order))


def test_no_token_is_aligned_twice():
    """Of two tokens that find the same one nearest, the nearer has it."""
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    source = torch.tensor([[1.0, 0.1], [1.0, 0.4], [-2.0, -0.5]])
    assert align_tokens(source, target).tolist() == plain_alignment(source, target) == [[0, 0], [2, 2]]


@pytest.mark.parametrize("rows", [0, 1])
def test_empty_texts_are_aligned_with_nothing(rows):
    """Neither side may be missing."""
    assert align_tokens(torch.zeros(rows, 3), torch.zeros(0, 3)).shape == (0, 2)
    assert align_tokens(torch.zeros(0, 3), torch.zeros(rows, 3)).shape == (0, 2)


def test_nothing_closes_the_text_of_a_decoder():
    """Its last token is a word, and is aligned."""
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    assert content(mask, prefix_tokens=1, closing=0).int().tolist() == [[0, 1, 1, 1], [0, 1, 0, 0]]


def test_a_text_of_special_tokens_only_keeps_them():
    """Six tokens lose the first two and the last; three have nothing else to show."""
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    assert content(mask, prefix_tokens=2).int().tolist() == [[0, 0, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]]
