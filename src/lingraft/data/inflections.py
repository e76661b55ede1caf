"""What an inflected English word may be a form of, by its ending: lexicons list ``country``, texts say ``countries``.

Rules of spelling alone, for words that a lexicon does not list themselves; whether a candidate is a word, the lexicon
knows.
"""

from __future__ import annotations

from collections.abc import Iterator

SHORTEST = 3
"""Letters of a base form at least: ``his`` is no form of ``hi``."""

VOWELS = frozenset("aeiouy")


def base_forms(word: str) -> Iterator[str]:
    """Yield the base forms that a word in lower case may have, the likeliest first; none where its ending says nothing.

    Endings are ``-s``, ``-es``, ``-ies``, ``-ed``, ``-ied``, ``-ing`` and the possessive.
    """
    for apostrophe in ("'", "’"):
        if word.endswith((f"{apostrophe}s", f"s{apostrophe}")):
            base = word.removesuffix("s").removesuffix(apostrophe) if word.endswith("s") else word[:-1]
            yield base
            yield from base_forms(base)
            return
    yield from (base for base in _without_ending(word) if len(base) >= SHORTEST)


def _without_ending(word: str) -> Iterator[str]:
    if word.endswith(("ies", "ied")):
        yield word[:-3] + "y"
        yield word[:-1]  # ties, tied
    elif word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]
        if word.endswith("es"):
            yield word[:-2]
    elif word.endswith("ed"):
        yield from _of_stem(word[:-2])
    elif word.endswith("ing"):
        yield from _of_stem(word[:-3])


def _of_stem(stem: str) -> Iterator[str]:
    """Yield what gave a stem before ``-ed`` or ``-ing``: ``hop`` is of ``hope``, ``hopp`` of ``hop``."""
    doubled = len(stem) > 2 and stem[-1] == stem[-2] and stem[-1] not in VOWELS
    dropped = len(stem) > 1 and stem[-1] not in VOWELS and stem[-2] in VOWELS and stem[-3:-2] not in VOWELS
    yield from (stem + "e", stem) if dropped else (stem, stem + "e")
    if doubled:
        yield stem[:-1]
