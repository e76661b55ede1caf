"""Texts that are far shorter or longer than those of the task: cut off, or gone on and on."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Annotated

from pydantic import Field

from ...core.errors import ConfigError
from ...core.examples import Example
from ...tasks.kinds.word_splitting import stands_alone
from . import Filter, Setting, filters

LETTERS = 3
"""That a Chinese character stands for. Of the training sentences of SIB-200 in 30 languages, the defaults take beside
English ones 0.4 % of the Chinese, and at most 1.7 % of any (Amharic); with a character counted as one, 42.9 %."""

Ratio = Annotated[float, Field(ge=0, le=1_000)]


@filters.register("length")
def length(*, least: Ratio = 0.3, most: Ratio = 3.0) -> Filter:
    """Take what is shorter or longer than so many times the median of labelled texts, in letters.

    A Chinese character or kana counts as three.

    Args:
        least: Times the median.
        most: Times the median.
    """
    if least >= most:
        raise ConfigError([f"expected least < most, got {least:g} and {most:g}, between which no text is"])

    def judge(examples: Sequence[Example], setting: Setting) -> list[str]:
        originals = [*setting.sources.labelled, *setting.sources.shots]
        if not originals:
            return [""] * len(examples)
        usual = median(map(letters, originals))
        return [
            "too short" if size < least * usual else "too long" if size > most * usual else ""
            for size in map(letters, examples)
        ]

    return Filter(judge)


def letters(example: Example) -> int:
    """Count the characters of all texts of an example, one that is a word by itself as :data:`LETTERS`."""
    return sum(LETTERS if stands_alone(character) else 1 for text in example.texts for character in text)
