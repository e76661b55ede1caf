"""Texts that give evaluation texts away: a model that wrote them may have read those (train/test overlap)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from ...core.examples import Example
from ...data.lexicon import words_of
from ...data.text import normalise
from . import Filter, Setting, filters

Words = Annotated[int, Field(ge=2, le=100)]


@filters.register("overlap")
def overlap(*, words: Words = 8) -> Filter:
    """Take what shares a run of words with an evaluation text; whole texts are never learnt from anyhow.

    Args:
        words: Of a run.
    """

    def judge(examples: Sequence[Example], setting: Setting) -> list[str]:
        forbidden = {run for example in setting.evaluation for run in runs_of(example, words)}
        reason = f"shares {words} words in a row with an evaluation text"
        return ["" if forbidden.isdisjoint(runs_of(example, words)) else reason for example in examples]

    return Filter(judge)


def runs_of(example: Example, count: int) -> Iterator[tuple[str, ...]]:
    """Yield all runs of ``count`` words of an example's texts, normalised."""
    for text in example.texts:
        words = [normalise(word) for word in words_of(text)]
        yield from (tuple(words[start : start + count]) for start in range(len(words) - count + 1))
