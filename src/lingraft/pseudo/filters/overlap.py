"""Texts that give evaluation texts away: a model that wrote them may have read those (train/test overlap)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from ...core.examples import Example
from ...data.lexicon import words_of
from ...data.text import normalise
from ...tasks.kinds.word_splitting import is_unspaced, split_words
from . import Filter, Setting, filters

Words = Annotated[int, Field(ge=2, le=100)]

Half = tuple[str, bool]
"""A word, or a character or cluster of a script without blanks; and whether it is the second half of the word."""


@filters.register("overlap")
def overlap(*, words: Words = 8) -> Filter:
    """Take what shares a run of words with an evaluation text; whole texts are never learnt from anyhow.

    Args:
        words: Of a run; where no blanks part words, as in Chinese or Thai, two characters count as one.
    """

    def judge(examples: Sequence[Example], setting: Setting) -> list[str]:
        forbidden = {run for example in setting.evaluation for run in runs_of(example, words)}
        reason = f"shares {words} words in a row with an evaluation text"
        return ["" if forbidden.isdisjoint(runs_of(example, words)) else reason for example in examples]

    return Filter(judge)


def runs_of(example: Example, count: int) -> Iterator[tuple[Half, ...]]:
    """Yield all runs of ``count`` words of an example's texts, normalised.

    Where no blanks part words, two pieces count as one: a Chinese word has 1.6 characters, a Thai one more clusters.
    """
    for text in example.texts:
        halves = [half for word in words_of(text) for half in _halves(normalise(word))]
        for start in range(len(halves) - 2 * count + 1):
            if not halves[start][1]:  # a run from the middle of a word has one from its beginning in it
                yield tuple(halves[start : start + 2 * count])


def _halves(word: str) -> Iterator[Half]:
    """Yield both halves of a word that blanks part from others, and the pieces of one that they do not."""
    unspaced = any(map(is_unspaced, word))
    for piece in [word[first:last] for first, last in split_words(word)] if unspaced else [word]:
        yield piece, False
        if not is_unspaced(piece[0]):
            yield piece, True
