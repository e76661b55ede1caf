"""What may follow where an answer is a piece of the context, against all pieces that there are."""

from itertools import product

import pytest
import torch

from lingraft.backbones.greedy import Generated
from lingraft.backbones.spelling import Spelling
from lingraft.core.records import Features
from lingraft.model.heads import heads
from lingraft.model.heads.context_language_model import ContextLanguageModelHead
from stacks import speaking
from tiny import decoder_tokenizer

SPELLING = Spelling(decoder_tokenizer())
ENDS = {2, 4}  # the end of a text, and of a line
BLANK = None
HEAD = ContextLanguageModelHead(8)


def row(context, spans, nothing=0):
    """A prompt with these tokens of a context between others, and the characters that each shows."""
    return Features("1", (1, *context, 30, 31), offsets=(BLANK, *spans, BLANK, BLANK), nothing=nothing)


CONTEXT = [7, 8, 7, 8, 9, 4, 10]  # repeats itself, and has a line break
SPANS = [(3 * i, 3 * i + 2) for i in range(len(CONTEXT))]


def pieces():
    """Every piece of the context, the longest ones up to the line break."""
    return {
        tuple(CONTEXT[first:last])
        for first, last in product(range(len(CONTEXT)), range(1, len(CONTEXT) + 1))
        if first < last and 4 not in CONTEXT[first:last]
    }


@pytest.mark.parametrize("nothing", [0, 5])
def test_what_may_follow_goes_on_with_a_piece_or_ends_it(nothing):
    """After every piece, and after nothing, which is an answer only where the row says so."""
    for said in [(), *pieces()]:
        going_on = {piece[len(said)] for piece in pieces() if piece[: len(said)] == said and len(piece) > len(said)}
        expected = going_on | (ENDS if said or nothing else set())

        assert set(HEAD.may_follow(row(CONTEXT, SPANS, nothing), said, SPELLING)) == expected


def test_an_answer_does_not_end_before_it_shows_anything():
    """Behind a token of nothing but a blank something must follow, unless there is nothing more."""
    asked = row([7, 5, 8], [(0, 1), BLANK, (2, 3)])
    assert set(HEAD.may_follow(asked, (5,), SPELLING)) == {8}
    assert set(HEAD.may_follow(asked, (5, 8), SPELLING)) == ENDS


def test_without_a_context_there_is_only_the_end():
    """Nothing of it was read."""
    assert set(HEAD.may_follow(row([7], [BLANK]), (), SPELLING)) == ENDS


def test_a_row_names_the_characters_of_the_first_such_piece():
    """From the first character that is shown to the last; none where nothing was said."""
    asked = row(CONTEXT, SPANS)
    expected = {(8, 9): [9, 14], (7, 8): [0, 5], (9,): [12, 14], (): [0, 0]}
    for said, characters in expected.items():
        found = HEAD.row_of(asked, Generated(said, 0.5), SPELLING)
        assert found.tolist() == [0.5, *characters]


def test_it_needs_a_decoder_and_learns_nothing():
    """As the language-model head that it is."""
    head = heads.build("context_language_model")(speaking("llama")[1], 6, False)
    assert head.most == 6
    assert not list(head.parameters())
    assert not torch.nn.Module.state_dict(head)
