"""Examples that are still in the source language, word for word: nothing of the target language is learnt from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ...core.amounts import Share
from ...core.examples import Example
from ...data.lexicon import words_of
from ...data.text import normalise
from . import Filter, Setting, filters


@filters.register("source-copies")
def source_copies(*, most: Share = 0.9) -> Filter:
    """Take what has too many words of the source example that it was made from.

    Args:
        most: Share of the words of an example that may stand in its original, which has the same group.
    """

    def judge(examples: Sequence[Example], setting: Setting) -> list[str]:
        known: dict[str, set[str]] = defaultdict(set)
        for original in (*setting.sources.labelled, *(pair[0] for pair in setting.sources.pairs)):
            known[original.group].update(_words(original))
        return [
            "its words are those of its original" if _share(example, known.get(example.group, set())) > most else ""
            for example in examples
        ]

    return Filter(judge)


def _words(example: Example) -> list[str]:
    return [normalise(word) for text in example.texts for word in words_of(text)]


def _share(example: Example, original: set[str]) -> float:
    """Return the share of the words of an example that its original has; 0 without any."""
    words = _words(example)
    return sum(word in original for word in words) / len(words) if words and original else 0.0
