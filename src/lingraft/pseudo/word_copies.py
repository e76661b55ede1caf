"""Labelled copies of source examples in which words are replaced by their translations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from ..core.examples import Example
from ..data.augmentation.switching import switch_example
from ..data.differences import SAME, loses_difference
from . import Sources
from .generators import Generator

KINDS = frozenset({"classification", "span_qa", "tagging", "choice"})
"""Whose examples can be copied word by word."""

OTHER_LANGUAGE = "it is not in the language of the lexicon"
UNKNOWN = "the lexicon knows no word of it"


@dataclass(frozen=True)
class WordCopies:
    """How examples are copied.

    Attributes:
        origin: The generator's name.
        ratio: Share of the entries in an example that are replaced.
        copies: Of each example.
        inflections: Whether an English word that the lexicon lists in another form is replaced, too.
        weight: How much a copy counts.
    """

    origin: str
    ratio: float
    copies: int
    inflections: bool
    weight: float

    def generate(self, sources: Sources) -> Iterator[Example]:
        """Yield the copies of all labelled source examples, the first of each before the second of any."""
        assert sources.lexicon is not None
        source = sources.task.source_language
        inflections = self.inflections and source.startswith("eng")
        for copy, example in product(range(self.copies), sources.labelled):
            if example.language != source:  # of a further source language, whose words the lexicon does not list
                sources.drop(OTHER_LANGUAGE)
                continue
            made = switch_example(
                example,
                sources.lexicon,
                sources.language,
                ratio=self.ratio,
                draw=sources.draw,
                copy=copy,
                inflections=inflections,
            )
            if made is None:
                sources.drop(UNKNOWN)
                continue
            if loses_difference(example, made):
                sources.drop(SAME)
                continue
            place = f"{self.origin}/{sources.draw}/{sources.language}/{copy}/{example.id}"
            yield replace(made, id=place, origin=self.origin, weight=self.weight)

    def generator(self) -> Generator:
        """Return what makes them, of labelled examples and a lexicon."""
        return Generator(self.generate, frozenset({"labelled", "lexicon"}), KINDS, mixes=True)
