"""Code-switching: sentences of the source language with some of their words in another one.

Where nobody has translated sentences, a bilingual lexicon still shows the words of a language in
context (CoSDA-ML, Qin et al., 2020): the sentence and its code-switched copy are a pair. Which words
are replaced, and by which of their translations, is a hash of the draw, the copy and the sentence, so
a copy is the same for everyone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import groupby, pairwise

from ..core.examples import ParallelPair
from .inflections import base_forms
from .text import normalise

MAX_WORDS = 4
"""Longer entries are sentences or explanations, which replace no word."""

Words = tuple[str, ...]
"""The words of an entry as they are compared: normalised, without punctuation."""


@dataclass(frozen=True)
class Lexicon:
    """Words, or short phrases, of the source language with their translations."""

    entries: Mapping[Words, Words]

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def longest(self) -> Mapping[str, int]:
        """How many words the longest entry has that begins with a word."""
        found: dict[str, int] = {}
        for first, *rest in self.entries:
            found[first] = max(found.get(first, 1), 1 + len(rest))
        return found


@dataclass(frozen=True, slots=True)
class Match:
    """An entry that occurs in a text, at ``start:end``."""

    start: int
    end: int
    words: Words


def lexicon_of(*sources: Iterable[ParallelPair]) -> Lexicon:
    """Make a lexicon of word pairs, in the order of trust: what one source knows, a later one does not add to.

    Entries that are the same in both languages replace nothing and are left out, as are entries of
    more than ``MAX_WORDS`` words on either side.
    """
    entries: dict[Words, Words] = {}
    for source in sources:
        found: dict[Words, dict[str, str]] = {}
        for pair in source:
            words = tuple(normalise(word) for word, _, _ in placed_words(pair.source))
            short = 0 < len(words) <= MAX_WORDS and 0 < len(pair.target.split()) <= MAX_WORDS
            if short and normalise(pair.source) != normalise(pair.target):
                found.setdefault(words, {}).setdefault(normalise(pair.target), pair.target.strip())
        entries = {words: tuple(found[words].values()) for words in found} | entries
    return Lexicon(entries)


def anywhere(start: int, end: int) -> bool:
    """Allow an entry at every place."""
    return True


def matches(
    text: str, lexicon: Lexicon, *, inflected: bool = False, allowed: Callable[[int, int], bool] = anywhere
) -> list[Match]:
    """Return the entries that occur in ``text``, from left to right, longest first, without overlap.

    Case does not matter; a phrase matches where nothing but blanks separates its words.

    Args:
        text: Of the lexicon's source language.
        lexicon: What is looked for.
        inflected: Whether an English word, or the last one of a phrase, that is no entry stands for one that it is
            a form of (:func:`lingraft.data.inflections.base_forms`).
        allowed: Whether an entry may be found from one character to another (exclusive); a shorter one may be where
            a longer one may not.
    """
    words = _normalised_words(text)
    found, at = [], 0
    while at < len(words):
        longest = lexicon.longest.get(words[at][0], 1)  # else a word alone, which may be inflected
        for length in range(min(longest, len(words) - at), 0, -1):
            run = words[at : at + length]
            key = _entry(tuple(word for word, _, _ in run), lexicon, inflected=inflected)
            if key and _only_blanks_between(text, run) and allowed(run[0][1], run[-1][2]):
                found.append(Match(run[0][1], run[-1][2], key))
                at += length
                break
        else:
            at += 1
    return found


def _entry(words: Words, lexicon: Lexicon, *, inflected: bool) -> Words | None:
    """Return the entry that words are, or, ``inflected``, are a form of."""
    if words in lexicon.entries:
        return words
    if not inflected:
        return None
    forms = ((*words[:-1], base) for base in base_forms(words[-1]))
    return next((form for form in forms if form in lexicon.entries), None)


def words_of(text: str) -> list[str]:
    """Return the words of a text, without punctuation."""
    return [word for word, _, _ in placed_words(text)]


def known_share(texts: Iterable[str], lexicon: Lexicon) -> float:
    """Return the share of the words of ``texts`` that are part of an entry."""
    words = known = 0
    for text in texts:
        words += sum(1 for _ in placed_words(text))
        known += sum(len(match.words) for match in matches(text, lexicon))
    return known / max(1, words)


def placed_words(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield words with their places: letters, marks and digits, joined by apostrophes and hyphens."""
    for found in _pattern().finditer(text):
        yield found.group(), found.start(), found.end()


@lru_cache(maxsize=256)
def _normalised_words(text: str) -> tuple[tuple[str, int, int], ...]:
    """Return words as they are compared, with their places; what is asked about a context comes one after the other."""
    return tuple((normalise(word), start, end) for word, start, end in placed_words(text))


def _only_blanks_between(text: str, run: Sequence[tuple[str, int, int]]) -> bool:
    return all(text[left[2] : right[1]].isspace() for left, right in pairwise(run))


@cache
def _pattern() -> re.Pattern[str]:
    r"""Match a word. Python's ``\w`` leaves out combining marks; without these Hindi and decomposed Yoruba break."""
    marks = [code for code in range(0x20000) if unicodedata.category(chr(code)).startswith("M")]
    runs = [list(group) for _, group in groupby(enumerate(marks), lambda pair: pair[1] - pair[0])]
    letter = r"(?:[^\W_]|[" + "".join(f"{chr(run[0][1])}-{chr(run[-1][1])}" for run in runs) + "])"
    return re.compile(rf"{letter}+(?:['’ʼ-]{letter}+)*")
