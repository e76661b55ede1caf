"""Mutual soft word alignments from frozen states."""

import csv
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lingraft.core.records import States
from lingraft.training.alignment.word_alignment import align_words, content


def plain_content(states, prefix_tokens):
    """Positions of words, text by text."""
    positions = []
    for mask in states.mask.tolist():
        inner = list(range(prefix_tokens, sum(mask) - 1))
        positions.append(inner or list(range(sum(mask))))
    return positions


def plain_word_alignment(source, target, temperature, threshold, prefix_tokens):
    """Both softmaxes written out, one pair of tokens at a time."""
    sides = []
    for states in (source, target):
        positions = plain_content(states, prefix_tokens)
        kept = [states.tokens[row, i].double() for row, places in enumerate(positions) for i in places]
        sides.append((states.tokens.double() - sum(kept) / len(kept), positions))
    (theirs, rows), (ours, columns) = sides
    links = []
    for row in range(len(theirs)):

        def weight(a, b, row=row):
            cosine = torch.dot(theirs[row, a], ours[row, b]) / theirs[row, a].norm() / ours[row, b].norm()
            return math.exp(cosine / temperature)

        for a in rows[row]:
            for b in columns[row]:
                forth = weight(a, b) / sum(weight(a, other) for other in columns[row])
                back = weight(a, b) / sum(weight(other, b) for other in rows[row])
                if forth > threshold and back > threshold:
                    links.append([row, a, b])
    return links


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(0, 3),
    st.sampled_from([0.1, 0.3, 1.0]),
    st.sampled_from([0.01, 0.2, 0.4]),
    st.integers(0, 999),
)
def test_alignments_equal_a_double_loop(batch, length, prefix_tokens, temperature, threshold, seed):
    """On random states of any size, padding included."""
    generator = torch.Generator().manual_seed(seed)

    def states(length):
        lengths = torch.randint(1, length + 1, (batch, 1), generator=generator)
        tokens = torch.randn(batch, length, 5, generator=generator)
        return States(tokens + 20, (torch.arange(length) < lengths).long(), layer=0)  # crowded in one corner

    source, target = states(length), states(length + 1)
    options = {"temperature": temperature, "threshold": threshold, "prefix_tokens": prefix_tokens}
    # A batch with a single content token has a mean equal to it, and no direction left to compare.
    assume(min(sum(map(len, plain_content(side, prefix_tokens))) for side in (source, target)) > 1)
    pairs = align_words(source, target, **options)
    assert pairs.dtype == torch.long
    assert pairs.tolist() == plain_word_alignment(source, target, **options)


def test_shuffled_words_find_each_other(random_states):
    """A translation in another order: each word is aligned with itself, and nothing with the ends."""
    source = random_states(1, length=7, width=32)
    order = [0, 3, 5, 1, 4, 2, 6]
    target = replace(source, tokens=source.tokens[:, order] + 50)  # each side has a mean of its own
    expected = sorted([0, order[b], b] for b in range(1, 6))
    assert align_words(source, target).tolist() == expected


def test_padding_and_virtual_tokens_do_not_matter(random_states):
    """Nothing in padding is seen, positions are those of the text."""
    source, target = random_states(5, seed=0), random_states(5, seed=0)
    links = align_words(source, target)
    real = target.mask.bool().unsqueeze(-1)
    noisy = replace(
        target,
        tokens=torch.cat([torch.full((5, 2, 8), 9.0), torch.where(real, target.tokens, math.nan)], dim=1),
        mask=torch.cat([torch.ones(5, 2, dtype=torch.long), target.mask], dim=1),
        prompt_length=2,
    )
    assert len(links) > 0
    assert torch.equal(align_words(source, noisy), links)
    assert all(source.mask[row, a] and target.mask[row, b] for row, a, b in links.tolist())


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_states_that_all_look_alike_are_aligned_by_nobody(fill):
    """No division by zero, and four words each a quarter likely pass no threshold above that."""
    states = States(torch.full((2, 6, 3), fill), torch.ones(2, 6, dtype=torch.long), layer=0)
    assert align_words(states, states, threshold=0.3).shape == (0, 3)


def test_a_text_of_special_tokens_only_keeps_them():
    """Six tokens lose the first two and the last; three have nothing else to show."""
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    assert content(mask, prefix_tokens=2).int().tolist() == [[0, 0, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]]


@pytest.mark.checkpoint
@pytest.mark.shared
def test_german_and_english_words_are_aligned_as_a_reader_would(e5, shared_data):
    """Three SIB-200 sentences with the multilingual checkpoint at layer 8: the pairs were checked by hand."""
    from lingraft.backbones.walk import states_at

    def texts(language):
        with (shared_data / "sib200" / f"{language}.dev.tsv").open(encoding="utf-8", newline="") as lines:
            return {row["index_id"]: row["text"] for row in csv.DictReader(lines, delimiter="\t", quoting=3)}

    english, german = texts("eng_Latn"), texts("deu_Latn")
    chosen = [
        next(i for i, text in english.items() if start in text)
        for start in ("Vatican City's population", "The Cook Islands", "If you want to learn throwing a boomerang")
    ]
    ids = [[e5.tokenizer(e5.text_prefix + side[i])["input_ids"] for i in chosen] for side in (english, german)]
    words = [[e5.tokenizer.convert_ids_to_tokens(text) for text in side] for side in ids]
    states = [states_at(side, e5.stack, 8, torch.device("cpu")) for side in ids]

    links = align_words(*states, prefix_tokens=1 + len(e5.tokenizer.tokenize(e5.text_prefix.strip())))

    found = [(words[0][row][a].strip("▁"), words[1][row][b].strip("▁")) for row, a, b in links.tolist()]
    # fmt: off
    right = {
        ("Vatican", "Vatikan"), ("City", "stadt"), ("around", "circa"), ("800", "800"), ("small", "klein"),
        ("independent", "unabhängig"), ("country", "Staat"), ("country", "Land"), ("world", "Welt"), ("with", "mit"),
        ("population", "Bevölkerung"), ("Cook", "Cook"), ("are", "sind"), ("island", "Insel"), ("free", "frei"),
        ("New", "Neu"), ("located", "liegen"), ("Poly", "Poly"), ("middle", "Mitte"), ("South", "Süd"),
        ("If", "Wenn"), ("want", "wollen"), ("learn", "lernen"), ("back", "zurück"), ("your", "Ihrer"),
        ("hand", "Hand"), ("have", "haben"), ("suitable", "geeignet"), ("rang", "rang"), ("boom", "Bu"),
    }
    # fmt: on
    assert len(right & set(found)) >= 27
    checked = {word for word, _ in right}
    of_these = [pair for pair in found if pair[0] in checked]
    assert sum(pair in right for pair in of_these) / len(of_these) > 0.85
