"""Labelled word translation: each source example with all of its words that a lexicon knows translated.

The label stays what it was. Read so, half-translated text with labels is the cheapest that there is: on languages
that XLM-R was never trained on it gave 6 to 11 points on SIB-200 (LexC-Gen: Yong et al., 2024, the row of translated
text that nothing generated).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from ...core.amounts import Copies
from ...core.records import Example
from ...data.augmentation.switching import switch_example
from .. import Sources, Weight
from . import Generator, generators

WORD_TRANSLATION = "word-translation"
"""The origin of the copies."""

KINDS = frozenset({"classification", "span_qa", "tagging", "choice"})
"""Whose examples can be copied word by word."""


@generators.register(WORD_TRANSLATION)
def word_translation(*, copies: Copies = 1, inflections: bool = True, weight: Weight = 0.5) -> Generator:
    """Labelled source examples, every word that the lexicon knows translated.

    Args:
        copies: Of each example; in which a word of several translations has another one.
        inflections: Whether an English word that the lexicon lists in another form is translated too.
        weight: How much a copy counts, where the original counts 1.
    """

    def generate(sources: Sources) -> Iterator[Example]:
        assert sources.lexicon is not None
        inflected = inflections and sources.task.source_language.startswith("eng")
        for copy, example in product(range(copies), sources.labelled):
            made = switch_example(
                example,
                sources.lexicon,
                sources.language,
                ratio=1.0,
                draw=sources.draw,
                copy=copy,
                inflections=inflected,
            )
            if made is None:
                sources.drop("the lexicon knows no word of it")
                continue
            place = f"{WORD_TRANSLATION}/{sources.draw}/{sources.language}/{copy}/{example.id}"
            yield replace(made, id=place, origin=WORD_TRANSLATION, weight=weight)

    return Generator(generate, frozenset({"labelled", "lexicon"}), KINDS)
