"""The language-model head, where an answer must be a piece of the context: only what goes on with one may follow."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from ...backbones import LayerStack
from ...backbones.greedy import Generated
from ...backbones.spelling import Spelling
from ...core.records import Features
from . import BuildHead, heads
from .language_model import LanguageModelHead, most_of

Span = tuple[int, int]


class ContextLanguageModelHead(LanguageModelHead):
    """Says pieces of the context, token by token, as they stand in the prompt.

    A row's ``offsets`` are the characters of the context that its tokens show. An answer may end behind any token, and
    at once where the row has a token for "no answer", ``nothing``.
    """

    def may_follow(self, asked: Features, said: Sequence[int], spelling: Spelling) -> Collection[int]:
        """Return the tokens that go on with all pieces that begin as what was said, and those that end it."""
        ids, spans = _context(asked)
        places = _places(ids, said)
        after = {ids[place + len(said)] for place in places if place + len(said) < len(ids)}
        after = {token for token in after if not spelling.ends(token)}
        may_end = not after or (bool(asked.nothing) if not said else _characters(spans, places, len(said)) is not None)
        return after | set(spelling.end_ids) if may_end else after

    def row_of(self, asked: Features, said: Generated, spelling: Spelling) -> Tensor:
        """Return the probability of an answer, and its first and last character in the context: ``[3]``; 0 for none."""
        ids, spans = _context(asked)
        found = _characters(spans, _places(ids, said.ids), len(said.ids)) or (0, 0)
        return torch.tensor([said.probability, *found], dtype=torch.float32)


@heads.register("context_language_model")
def context_language_model() -> BuildHead:
    """Answers that the decoder writes with its own head, each of them a piece of the context."""

    def build(stack: LayerStack, outputs: int, per_token: bool) -> ContextLanguageModelHead:
        return ContextLanguageModelHead(most_of(stack, outputs))

    return build


def _context(asked: Features) -> tuple[tuple[int, ...], tuple[Span | None, ...]]:
    """Return the tokens of the context, from the first to the last that shows any of it, and what they show."""
    shown = [place for place, span in enumerate(asked.offsets) if span]
    run = slice(shown[0], shown[-1] + 1) if shown else slice(0)
    return asked.input_ids[run], asked.offsets[run]


def _places(ids: tuple[int, ...], said: Sequence[int]) -> list[int]:
    """Return where in the context the tokens stand that were said: everywhere, where none was."""
    wanted, length = tuple(said), len(said)
    return [place for place in range(len(ids) - length + 1) if ids[place : place + length] == wanted]


def _characters(spans: Sequence[Span | None], places: Sequence[int], length: int) -> Span | None:
    """Return first and last character of the first place that shows any; None where none does."""
    for place in places:
        shown = [span for span in spans[place : place + length] if span]
        if shown:
            return shown[0][0], shown[-1][1]
    return None
