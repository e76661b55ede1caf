"""Labelled word translation: each source example with all of its words that a lexicon knows translated.

The label stays what it was. Read so, half-translated text with labels is the cheapest that there is: on languages
that XLM-R was never trained on it gave 6 to 11 points on SIB-200 (LexC-Gen: Yong et al., 2024, the row of translated
text that nothing generated).
"""

from __future__ import annotations

from ...core.amounts import Copies
from .. import Weight
from ..word_copies import WordCopies
from . import Generator, generators

WORD_TRANSLATION = "word-translation"
"""The origin of the copies."""


@generators.register(WORD_TRANSLATION)
def word_translation(*, copies: Copies = 1, inflections: bool = True, weight: Weight = 0.5) -> Generator:
    """Labelled source examples, every word that the lexicon knows translated.

    Args:
        copies: Of each example; in which a word of several translations has another one.
        inflections: Whether an English word that the lexicon lists in another form is translated too.
        weight: How much a copy counts, where the original counts 1.
    """
    return WordCopies(WORD_TRANSLATION, 1.0, copies, inflections, weight).generator()
