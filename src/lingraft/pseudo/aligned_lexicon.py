"""A bilingual lexicon from translated sentences: words that are aligned with each other again and again.

Where nobody has a word list, the pairs themselves give one. A word is an entry if it was aligned often enough and
mostly with one word; what is aligned once, or with many, is as likely an accident of word order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from ..core.records import GOLD, Example, ParallelPair
from ..data.leakage import remove_overlapping_pairs
from ..data.lexicon import Lexicon, lexicon_of, words_of
from ..data.text import normalise
from ..tasks.material import Pair
from . import Align

LEAST_COUNT = 2
"""How often two words must be aligned."""

LEAST_SHARE = 0.5
"""Of all alignments of a word, those with its translation."""


def aligned_lexicon(pairs: Sequence[Pair], align: Align, evaluation: Sequence[Example] = ()) -> Lexicon:
    """Make a lexicon of the words of translations that are aligned with each other.

    Args:
        pairs: Translations, source side first; copies among them are not looked at.
        align: Aligns the words of pairs of texts.
        evaluation: Texts that no entry may be.
    """
    own = [pair for pair in pairs if pair[1].origin == GOLD]
    if not own:
        return lexicon_of()
    texts = [(source.texts[0], target.texts[0]) for source, target in own]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (source, target), links in zip(texts, align(texts), strict=True):
        words, translations = source.split(), target.split()
        for one, other in links:
            if (word := _bare(words[one])) and (translation := _bare(translations[other])):
                counts[word][translation] += 1
    languages = own[0][0].language, own[0][1].language
    entries = [ParallelPair(word, translation, *languages) for word, translation in _trusted(counts)]
    return lexicon_of(remove_overlapping_pairs(entries, evaluation)[0])


def _trusted(counts: dict[str, Counter[str]]) -> Iterator[tuple[str, str]]:
    """Yield the words that are mostly aligned with one, and often enough."""
    for word, translations in counts.items():
        translation, count = translations.most_common(1)[0]
        if count >= LEAST_COUNT and count >= LEAST_SHARE * translations.total():
            yield word, translation


def _bare(word: str) -> str:
    """Return a word as it is compared, without punctuation; nothing for what is no single word."""
    found = words_of(word)
    return normalise(found[0]) if len(found) == 1 else ""
