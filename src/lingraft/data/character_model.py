"""How likely a text is in a language: each letter given the three before it, shorter contexts mixed in.

The n-grams of one to four letters of a language's texts are counted, and a text belongs to the language in which it is
likeliest (Cavnar & Trenkle, 1994; Dunning, 1994). No list of languages is needed, so none is missing; two languages
that share most words are told apart by little.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

from .text import normalise

ORDER = 4
"""The longest n-gram."""

FEWEST = 20
"""Texts of a language; fewer do not show what it looks like."""

MOST = 5_000
"""Texts that are counted."""

KEPT = 5_000
"""N-grams of a language, the most frequent first: 55 kB. Four times as many told about as many texts right."""

READ = 500
"""Letters of a text that say which language it is in; more say the same again."""

FLOOR = 1e-3
"""Of the probability of a letter: names, addresses and slips are in texts of all languages, and without it they would
speak for the language that there was least text of, which rules out least."""


class CharacterModel:
    """How letters follow each other in one language, from how often each n-gram occurs."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.counts = Counter(counts)
        self.alphabet = frozenset(ngram for ngram in counts if len(ngram) == 1)
        self.letters, self.total = 1 + len(self.alphabet), sum(counts[letter] for letter in self.alphabet)

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> Self:
        """Count the n-grams of texts."""
        counts = Counter[str]()
        for text in texts:
            counts.update(_ngrams(text))
        return cls(counts)

    def log_likelihood(self, text: str, *, floor: float = 0.0) -> float:
        """Return the logarithm of how likely a text is, ``floor`` added to the probability of each letter."""
        padded = _padded(text)
        return sum(
            math.log(self.probability(padded[max(0, at - ORDER + 1) : at], padded[at]) + floor)
            for at in range(1, len(padded))
        )

    def probability(self, context: str, letter: str) -> float:
        """Return how likely a letter is after a context; how likely after a shorter one counts the less it is known."""
        if not context:
            return (self.counts[letter] + 1) / (self.total + self.letters)
        seen = self.counts[context]
        shorter = self.probability(context[1:], letter)
        weight = math.sqrt(self.letters)
        return (self.counts[context + letter] + weight * shorter) / (seen + weight)


def likeliest(text: str, models: Mapping[str, CharacterModel]) -> str:
    """Return the language of a text: of several that are equally likely, the first.

    Letters that none of them has (emoji, another script) say nothing, so a text of those alone is in the first.

    Args:
        text: Its first letters are read, :data:`READ` of them.
        models: Of each language, at least one.
    """
    known = frozenset[str]().union(*(model.alphabet for model in models.values()))
    letters = "".join(letter if letter in known else " " for letter in normalise(text.lstrip()[:READ]))
    if letters.isspace() or not letters:
        return next(iter(models))
    return max(models, key=lambda code: models[code].log_likelihood(letters, floor=FLOOR))


def _padded(text: str) -> str:
    return f" {normalise(text)} "


def _ngrams(text: str) -> Iterator[str]:
    padded = _padded(text)
    for length in range(1, ORDER + 1):
        yield from (padded[start : start + length] for start in range(len(padded) - length + 1))
