"""A text as words, as corpora of tagged words have them: punctuation apart, and what a word is depends on the script.

Most scripts part words by blanks. Chinese characters and kana stand alone, as in PAN-X; Thai, Lao, Khmer, Burmese
and their neighbours, which write no blanks between words, are cut into orthographic clusters (a consonant with its
vowels and marks), so that a name is always a whole number of pieces. Whoever has words gives a list of words.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right

Place = tuple[int, int]
"""First character of a word, and the character after its last."""

JOINER = "\u200d"
INSIDE_WORDS = "'\u2019\u2018-\u2010\u2011_\u00b7"
"""Apostrophes, hyphens and the like, which between two letters belong to the word: ``ng'ombe``."""
INSIDE_NUMBERS = ".,:/"
BLANKS = "\u200b\ufeff"
"""What parts words, though Unicode does not call it a blank."""

ALONE = (
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),  # kana of half width
    (0x20000, 0x323AF),
)
CLUSTERED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0xA980, 0xA9FF),  # Javanese
    (0xAA60, 0xAA7F),
)
BEFORE_CONSONANTS = "เแโใไເແໂໃໄ"
"""Vowels of Thai and Lao that are written before the consonant they follow in speech."""
AFTER_CONSONANTS = "ะาำๅๆฯະາຳໆ"
STACKING = "\u1039\u17d2\u1a60\ua9c0\u1b44"
"""Signs that put the next consonant under the last."""


def split_words(text: str) -> list[Place]:
    """Return the places of the words of a text, in order; blanks are in none of them, everything else is."""
    places: list[Place] = []
    kind, start = "", 0  # of the word that is being read; "" for none
    for at, character in enumerate(text):
        found = _kind_of(character)
        if kind and _continues(text, at, kind, found):
            if kind == "mark":
                kind = found
            continue
        if kind:
            places.append((start, at))
        kind, start = ("" if found == "blank" else found), at
    return [*places, (start, len(text))] if kind else places


def stands_alone(character: str) -> bool:
    """Return whether a character is a word by itself, in a script of thousands: a Chinese character, a kana."""
    return _within(ord(character), ALONE)


def is_unspaced(character: str) -> bool:
    """Return whether a character is of a script that parts words by no blanks."""
    return stands_alone(character) or _within(ord(character), CLUSTERED)


def _continues(text: str, at: int, kind: str, found: str) -> bool:
    """Return whether the character at a place goes on with the word before it."""
    character, before = text[at], text[at - 1]
    if found == "blank":
        return False
    if found == "mark" or before == JOINER:
        return True
    if kind == "cluster" and found == "cluster":
        return before in BEFORE_CONSONANTS or before in STACKING or character in AFTER_CONSONANTS
    if kind == "sign":
        return found == "sign" and character == before
    if found == "sign":
        return kind == "letter" and _inside(text, at)
    return kind == found == "letter" or (kind == "mark" and found != "alone")


def _inside(text: str, at: int) -> bool:
    """Return whether a sign stands between two letters, or digits, of one word."""
    before, after = text[at - 1], text[at + 1 : at + 2]
    if not after:
        return False
    if text[at] in INSIDE_WORDS:
        return _kind_of(before) in ("letter", "mark") and _kind_of(after) == "letter"
    return text[at] in INSIDE_NUMBERS and before.isdecimal() and after.isdecimal()


def _kind_of(character: str) -> str:
    if character.isspace() or character in BLANKS:
        return "blank"
    category, code = unicodedata.category(character), ord(character)
    if category[0] == "M" or category == "Cf" or 0x1F3FB <= code <= 0x1F3FF:  # the last are skin tones
        return "mark"
    if category[0] == "L" or character in AFTER_CONSONANTS:
        return "alone" if _within(code, ALONE) else "cluster" if _within(code, CLUSTERED) else "letter"
    return "letter" if category[0] == "N" or 0x1F1E6 <= code <= 0x1F1FF else "sign"  # the last make flags


def _within(code: int, ranges: tuple[Place, ...]) -> bool:
    place = bisect_right(ranges, (code, 0x10FFFF)) - 1
    return place >= 0 and code <= ranges[place][1]
