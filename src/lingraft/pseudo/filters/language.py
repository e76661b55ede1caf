"""Texts that read more like the source language than like the target's, by their character n-grams.

Of each language that there is text of (labelled examples, sides of pairs, shots, raw text) the n-grams of one to four
letters are counted, and a text belongs to the language in which it is likelier (Cavnar & Trenkle, 1994; Dunning, 1994).
No list of languages is needed, so none is missing; two languages that share most words are told apart by little.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ...core.examples import Example
from ...data.text import normalise
from . import Filter, Setting, filters

ORDER = 4
"""The longest n-gram."""

FEWEST = 20
"""Texts of a language; fewer do not show what it looks like."""

MOST = 5_000
"""Texts that are counted."""


@filters.register("language")
def language() -> Filter:
    """Take what reads more like the source language, where there is text of both to compare with."""

    def judge(examples: Sequence[Example], setting: Setting) -> list[str]:
        sources = setting.sources
        labelled = (text for example in sources.labelled for text in example.texts)
        theirs = [*(pair[0].text_a for pair in sources.pairs), *labelled]
        shots = (text for example in sources.shots for text in example.texts)
        ours = [*(pair[1].text_a for pair in sources.pairs), *shots, *sources.texts]
        if len(ours) < FEWEST or len(theirs) < FEWEST:
            return [""] * len(examples)
        source, target = CharacterModel(islice(theirs, MOST)), CharacterModel(islice(ours, MOST))
        return [
            "reads like the source language"
            if example.origin not in setting.mixed and _likelier(source, target, example)
            else ""
            for example in examples
        ]

    return Filter(judge)


class CharacterModel:
    """How likely texts are in a language: each letter given the three before it, shorter contexts mixed in."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.counts: Counter[str] = Counter()
        for text in texts:
            self.counts.update(_ngrams(text))
        self.letters = 1 + sum(len(ngram) == 1 for ngram in self.counts)
        self.total = sum(count for ngram, count in self.counts.items() if len(ngram) == 1)

    def log_likelihood(self, text: str) -> float:
        """Return the logarithm of how likely a text is."""
        padded = _padded(text)
        return sum(
            math.log(self.probability(padded[max(0, at - ORDER + 1) : at], padded[at])) for at in range(1, len(padded))
        )

    def probability(self, context: str, letter: str) -> float:
        """Return how likely a letter is after a context; how likely after a shorter one counts the less it is known."""
        if not context:
            return (self.counts[letter] + 1) / (self.total + self.letters)
        seen = self.counts[context]
        shorter = self.probability(context[1:], letter)
        weight = math.sqrt(self.letters)
        return (self.counts[context + letter] + weight * shorter) / (seen + weight)


def _likelier(source: CharacterModel, target: CharacterModel, example: Example) -> bool:
    text = " ".join(example.texts)
    return source.log_likelihood(text) > target.log_likelihood(text)


def _padded(text: str) -> str:
    return f" {normalise(text)} "


def _ngrams(text: str) -> Iterator[str]:
    padded = _padded(text)
    for length in range(1, ORDER + 1):
        yield from (padded[start : start + length] for start in range(len(padded) - length + 1))
