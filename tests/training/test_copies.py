"""Which tokens of an example and of its code-switched copy correspond."""

import pytest
import torch

from lingraft.core.examples import Answer, ChoiceExample, PairExample, ParallelPair, SpanExample, TaggedExample
from lingraft.data.augmentation.switching import switch
from lingraft.data.lexicon import lexicon_of
from lingraft.tasks.kinds import kinds
from lingraft.tasks.material import Draw
from lingraft.training.copies import Cells, cells_of, copies_by_turn, match
from tiny import WORDS

LEXICON = lexicon_of(
    [ParallelPair(a, b, "eng-Latn", "yor-Latn") for a, b in (("ada", "quna rilo"), ("dune eli", "sava"))]
)
SAME = {"group": "g", "language": "eng-Latn"}


@pytest.fixture
def tokenizer(tiny_backbone):
    """A word-level one."""
    return tiny_backbone.tokenizer


def switched(example):
    """A copy with all that is known replaced."""
    return switch(example, LEXICON, "yor-Latn", ratio=1.0, draw=0, copy=0)


def cells(kind, example, tokenizer, max_length=64):
    """The cells, and the rows of both sides."""
    found = switched(example)
    rows = [kind.encode([one], tokenizer, max_length, "") for one in (example, found.example)]
    return cells_of(kind, *rows, found.places), rows


def pieces(example_text, rows, numbers):
    """The characters of the tokens in each cell, of all rows."""
    found = {}
    for feature, own in zip(rows, numbers, strict=True):
        for at, number in zip(feature.offsets, own.tolist(), strict=True):
            if number >= 0:
                found.setdefault(number, set()).add(example_text[slice(*at)])
    return found


def test_tokens_of_a_context_correspond_through_the_switch(tokenizer):
    """What replaces several words, or is several, is one cell with all of its tokens; question tokens are in none."""
    context = "bako ada, dune eli cire"
    example = SpanExample(
        "q", question="ada?", context=context, context_language="eng-Latn", answers=(Answer("ada", 5),), **SAME
    )
    found, (original, copy) = cells(kinds.build("span_qa"), example, tokenizer)
    text = switched(example).example.context
    assert text == "bako quna rilo, sava cire"
    ours, theirs = pieces(context, original, found.originals), pieces(text, copy, found.copies)
    assert [ours[i] for i in range(found.count)] == [{"bako"}, {"ada"}, {","}, {"dune", "eli"}, {"cire"}]
    assert [theirs[i] for i in range(found.count)] == [{"bako"}, {"quna", "rilo"}, {","}, {"sava"}, {"cire"}]


def test_windows_of_a_long_context_share_cells(tokenizer):
    """A word that two windows show is one cell in both."""
    context = " ".join(WORDS[5:25]) + " ada"
    example = SpanExample("q", question="bako", context=context, context_language="eng-Latn", **SAME)
    found, (original, copy) = cells(kinds.build("span_qa", {"stride": 4}), example, tokenizer, max_length=16)
    assert len(original) > 1
    assert found.count == 21
    ours, theirs = (
        pieces(text, rows, numbers)
        for text, rows, numbers in (
            (context, original, found.originals),
            (switched(example).example.context, copy, found.copies),
        )
    )
    assert [ours[i] for i in range(20)] == [theirs[i] for i in range(20)] == [{word} for word in WORDS[5:25]]


def test_words_correspond_by_their_first(tokenizer):
    """Of several words for one, or one for several, the first; the others are compared with nothing."""
    example = TaggedExample("s", words=("bako", "ada", "dune", "eli", "cire"), tags=("O", "B-X", "O", "O", "O"), **SAME)
    kind = kinds.build("tagging", {"labels": ("B-X", "I-X", "O")})
    found, (original, copy) = cells(kind, example, tokenizer)
    copied = switched(example).example.words
    assert copied == ("bako", "quna", "rilo", "sava", "cire")
    words = [
        {number: words[at[0]] for at, number in zip(rows[0].offsets, own[0].tolist(), strict=True) if number >= 0}
        for words, rows, own in ((example.words, original, found.originals), (copied, copy, found.copies))
    ]
    assert words == [
        {0: "bako", 1: "ada", 2: "dune", 3: "cire"},
        {0: "bako", 1: "quna", 2: "sava", 3: "cire"},
    ]


@pytest.mark.parametrize(
    ("name", "options", "example", "rows"),
    [
        ("classification", {"labels": ("x", "y")}, PairExample("p", text_a="ada", text_b="bako", **SAME), 1),
        ("choice", {}, ChoiceExample("c", text="ada", alternatives=("bako", "dune eli", "cire"), label=0, **SAME), 3),
    ],
)
def test_rows_correspond_to_rows(name, options, example, rows, tokenizer):
    """Where no token is read, a text answers to its copy, an alternative to its own."""
    found, _ = cells(kinds.build(name, options), example, tokenizer)
    assert found.count == rows
    assert (
        [one.tolist() for one in found.originals]
        == [one.tolist() for one in found.copies]
        == [[i] for i in range(rows)]
    )


def test_a_batch_of_copies_is_matched_with_its_originals():
    """Cells are numbered through the batch, examples without gaps; what has no copy is in no cell."""
    two = Cells((torch.tensor([-1, 0, 1]), torch.tensor([1])), (torch.tensor([0, 1, 1, -1]),), 2)
    none = Cells((torch.tensor([-1]),), (torch.tensor([-1, -1]),), 0)
    one = Cells((torch.tensor([0]),), (torch.tensor([-1, 0]),), 1)
    found = match([("b", 1), ("x", 2), ("a", 2), ("c", 1)], [("b", one), ("a", two), ("c", none)])
    assert found.originals.tolist() == [[0, -1, -1], [-1] * 3, [-1] * 3, [-1, 1, 2], [2, -1, -1], [-1] * 3]
    assert found.copies.tolist() == [[-1, 0, -1, -1], [1, 2, 2, -1], [-1] * 4]
    assert found.example.tolist() == [0, 1, 1]


def test_copies_of_what_is_held_out_take_no_turn():
    """Each language and number is a turn; a fold of a cross-validation has fewer examples, and so fewer copies."""
    examples = [PairExample(f"{i}", text_a="ada", **SAME) for i in range(2)]
    copies = tuple(switched(example) for example in examples)
    draw = Draw(0, 0, tuple(examples[:1]), {}, {}, copies={"yor-Latn": (copies, copies[1:])})
    assert copies_by_turn(draw) == [("yor-Latn", {"0": copies[0]})]
