"""The forward pass through frozen layers: batches, padding, and that a batch changes nothing."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lingraft.backbones import backbones
from lingraft.backbones.walk import STEP, encode_batch, length_batches, pad_batch, padded_length, states_at
from lingraft.core.records import IDS as UNREAD
from tiny import COMMON, VOCABULARY, random_model

CPU = torch.device("cpu")
IDS = [[1, 5, 6, 7, 8, 2], [1, 9, 2], [1, 10, 11, 12, 2]]
LENGTHS = st.lists(st.integers(1, 300), max_size=80)

# ---- Batches ---------------------------------------------------------------------------------------


@given(LENGTHS, st.integers(1, 1000))
def test_batches_cover_every_row_once(lengths, tokens):
    """No text is left out and none comes twice."""
    batches = list(length_batches(lengths, tokens))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(batches)


@given(LENGTHS, st.integers(1, 1000))
def test_texts_of_two_padded_lengths_never_share_a_batch(lengths, tokens):
    """Else a text's states would depend on the company it was in."""
    for batch in length_batches(lengths, tokens):
        assert len({padded_length(lengths[row]) for row in batch}) == 1


@given(LENGTHS, st.integers(1, 1000))
def test_batches_are_bounded(lengths, tokens):
    """A batch has at most so many tokens, padding counted, unless it is one text."""
    for batch in length_batches(lengths, tokens):
        assert len(batch) == 1 or len(batch) * padded_length(lengths[batch[0]]) <= tokens


@given(LENGTHS, st.integers(1, 1000))
def test_batches_are_as_full_as_they_can_be(lengths, tokens):
    """The first text of a batch would not have fitted into the one before, or is padded to another length."""
    for before, after in pairwise(length_batches(lengths, tokens)):
        one, other = padded_length(lengths[before[0]]), padded_length(lengths[after[0]])
        assert one != other or (len(before) + 1) * one > tokens


@given(LENGTHS)
def test_batches_rise_in_length(lengths):
    """Texts of similar length share a batch."""
    ordered = [lengths[row] for batch in length_batches(lengths) for row in batch]
    assert ordered == sorted(lengths)


@given(st.integers(0, 600), st.integers(20, 600))
def test_the_padded_length_is_the_next_multiple(tokens, limit):
    """By counting up; never beyond what the positions allow."""
    expected = next(length for length in range(STEP, 700, STEP) if length >= tokens)
    assert padded_length(tokens) == expected
    assert padded_length(tokens, limit) == min(expected, limit)


# ---- Padding ---------------------------------------------------------------------------------------


def test_padding_is_on_the_right(tiny_backbone):
    """The mask says how long each text is, and the last position that there is stays the last."""
    states = pad_batch(IDS, tiny_backbone.stack, CPU)
    assert states.tokens.tolist() == [ids + [0] * (STEP - len(ids)) for ids in IDS]
    assert states.mask.tolist() == [[1] * len(ids) + [0] * (STEP - len(ids)) for ids in IDS]
    assert (states.mask.dtype, states.layer, states.prompt_length) == (torch.long, UNREAD, 0)
    long = pad_batch([[1] * 60], tiny_backbone.stack, CPU)
    assert long.tokens.shape[1] == tiny_backbone.stack.max_length == COMMON["max_position_embeddings"]


def test_fresh_states_are_padded_to_the_longest_text(tiny_backbone):
    """As a batch of cached ones is; what padded them while they were computed is gone."""
    for cut in (UNREAD, 0, 2):
        states = states_at(IDS, tiny_backbone.stack, cut, CPU)
        assert states.mask.tolist() == [[1] * 6, [1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]]
        assert (states.tokens.shape[:2], states.layer) == ((3, 6), cut)
        assert states.tokens.is_contiguous()
    assert states_at(IDS, tiny_backbone.stack, UNREAD, CPU).tokens[1].tolist() == [1, 9, 2, 0, 0, 0]


def test_fresh_states_carry_no_gradient(tiny_backbone):
    """Below the cut nothing is recorded."""
    assert not states_at(IDS, tiny_backbone.stack, 2, CPU).tokens.requires_grad


# ---- A batch changes nothing -----------------------------------------------------------------------


def in_company(ids, stack, cut, seed):
    """States and pooled states of each text, computed in batches of a random size and composition."""
    draw, found, alike = random.Random(seed), {}, {}
    for row, text in enumerate(ids):
        alike.setdefault(padded_length(len(text)), []).append(row)
    for rows in alike.values():
        draw.shuffle(rows)
        while rows:
            size = draw.randint(1, 12)
            part, rows = rows[:size], rows[size:]
            states, pooled = encode_batch([ids[row] for row in part], stack, cut, CPU)
            for i, row in enumerate(part):
                found[row] = (states.tokens[i, : len(ids[row])], pooled[i])
    return [found[row] for row in range(len(ids))]


def assert_a_batch_changes_nothing(stack, ids, cut, seeds, within=0.0):
    """Whatever the company, the states are those of each text alone, to the last bit or ``within`` so much."""
    alone = [encode_batch([text], stack, cut, CPU) for text in ids]
    for seed in seeds:
        for text, found, (states, expected) in zip(ids, in_company(ids, stack, cut, seed), alone, strict=True):
            tokens, pooled = found
            torch.testing.assert_close(tokens, states.tokens[0, : len(text)], rtol=0, atol=within)
            torch.testing.assert_close(pooled, expected[0], rtol=0, atol=within)


KINDS = [
    *((family, {}) for family in backbones.names()),
    ("deberta-v2", {"conv_kernel_size": 3, "conv_act": "gelu"}),
    ("modernbert", {"num_hidden_layers": 5, "global_attn_every_n_layers": 2}),
]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("family", "options"), KINDS)
def test_states_do_not_depend_on_the_batch(family, options, precision):
    """Short and long texts of every family, alone and in random company."""
    stack = backbones.build(family)(random_model(family, **options))
    stack.precision = precision
    draw = random.Random(0)
    ids = [[1, *draw.choices(range(5, len(VOCABULARY)), k=length), 2] for length in (0, 1, 3, 9, 14, 15, 16, 60) * 3]
    ids += [[1, *draw.choices(range(5, len(VOCABULARY)), k=draw.randint(1, 60)), 2] for _ in range(24)]

    assert_a_batch_changes_nothing(stack, ids, 1, range(4))


def has_amx():
    """Whether the processor multiplies matrices of bfloat16 in tiles, as Linux says it."""
    about = Path("/proc/cpuinfo")
    return about.is_file() and "amx_bf16" in about.read_text(encoding="utf-8")


@pytest.mark.checkpoint
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_states_of_the_embedded_checkpoint_do_not_depend_on_the_batch(e5, precision, monkeypatch):
    """The widths of a real model, whose kernels are others than a tiny one's."""
    monkeypatch.setattr(e5.stack, "precision", precision)
    draw = random.Random(0)
    ids = [[0, *draw.choices(range(5, 250_000), k=length), 2] for length in (1, 5, 12, 14, 20, 31, 33, 70) * 3]

    # The kernels for AMX add up in another order for some numbers of rows.
    rounded = 0.02 if precision == "bfloat16" and has_amx() else 0.0
    assert_a_batch_changes_nothing(e5.stack, ids, 6, range(2), within=rounded)


@pytest.mark.checkpoint
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_states_depend_on_no_other_text_of_a_batch(e5, precision, size, monkeypatch):
    """In batches of as many texts they are the same to the last bit, on any processor, wherever a text stands."""
    monkeypatch.setattr(e5.stack, "precision", precision)
    draw = random.Random(size)
    text, *others = ([0, *draw.choices(range(5, 250_000), k=14), 2] for _ in range(2 * size))
    for place in range(size):
        here, there = others[: size - 1], others[size - 1 : 2 * (size - 1)]
        first, second = ([*side[:place], text, *side[place:]] for side in (here, there))
        states, pooled = encode_batch(first, e5.stack, 6, CPU)
        again, repeated = encode_batch(second, e5.stack, 6, CPU)
        assert torch.equal(states.tokens[place], again.tokens[place])
        assert torch.equal(pooled[place], repeated[place])
