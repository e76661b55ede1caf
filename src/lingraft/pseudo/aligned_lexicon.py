"""A bilingual lexicon from translated sentences: words that are aligned with each other again and again.

Where nobody has a word list, the pairs themselves give one. Two words are an entry if each is what the other is aligned
with most, and often enough; what is aligned once, or with many, is as likely an accident of word order.

How right that is depends on what the aligning model knows of the language. Of 351 pairs of SIB-200 and the frozen
multilingual-e5-small, of the entries that GATITOS has, too, it has the same translation for 68 % in Minangkabau
(58 of 85), 30 % in Balinese (24 of 79) and 35 % in Guarani (13 of 37); other forms of the same word count as wrong.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from ..core.examples import GOLD, Example, ParallelPair
from ..data.leakage import remove_overlapping_pairs
from ..data.lexicon import Lexicon, lexicon_of, words_of
from ..data.text import normalise
from ..tasks.material import Pair
from . import Align

LEAST_COUNT = 3
"""How often two words must be aligned. With 2 it was 64 %, 28 % and 19 %, of twice as many entries."""

LEAST_SHARE = 0.3
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
    texts = [(source.texts[0].split(), target.texts[0].split()) for source, target in own]
    forward: dict[str, Counter[str]] = defaultdict(Counter)
    backward: dict[str, Counter[str]] = defaultdict(Counter)
    for (words, translations), links in zip(texts, align(texts), strict=True):
        for one, other in links:
            if (word := _bare(words[one])) and (translation := _bare(translations[other])):
                forward[word][translation] += 1
                backward[translation][word] += 1
    languages = own[0][0].language, own[0][1].language
    entries = [ParallelPair(word, translation, *languages) for word, translation in _trusted(forward, backward)]
    return lexicon_of(remove_overlapping_pairs(entries, evaluation)[0])


def _trusted(forward: dict[str, Counter[str]], backward: dict[str, Counter[str]]) -> Iterator[tuple[str, str]]:
    """Yield words and translations that are aligned with each other most, and often enough."""
    for word, translations in forward.items():
        translation, count = translations.most_common(1)[0]
        mutual = backward[translation].most_common(1)[0][0] == word
        if mutual and count >= LEAST_COUNT and count >= LEAST_SHARE * translations.total():
            yield word, translation


def _bare(word: str) -> str:
    """Return a word as it is compared, without punctuation; nothing for what is no single word."""
    found = words_of(word)
    return normalise(found[0]) if len(found) == 1 else ""
