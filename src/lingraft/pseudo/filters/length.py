"""Texts that are far shorter or longer than those of the task: cut off, or gone on and on."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Annotated

from pydantic import Field

from ...core.errors import ConfigError
from ...core.examples import Example
from . import Filter, Setting, filters

Ratio = Annotated[float, Field(ge=0, le=1_000)]


@filters.register("length")
def length(*, least: Ratio = 0.3, most: Ratio = 3.0) -> Filter:
    """Take what is shorter or longer than so many times the median of labelled texts, in characters.

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
    """Count the characters of all texts of an example."""
    return sum(map(len, example.texts))
