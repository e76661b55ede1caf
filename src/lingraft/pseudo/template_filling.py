"""Templates: texts with slots, `Ina son {thing}`, and the words that fill them.

Which fillings are taken is a hash of the draw where there are more than wanted, and no more are ever listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod

from ..data.sampling import rank
from .sentences import Place

SLOT = re.compile(r"\{([^{}]+)\}")


def slots_of(*texts: str) -> list[str]:
    """Return the names of the slots in texts, each once, in order."""
    return list(dict.fromkeys(slot for text in texts for slot in SLOT.findall(text)))


def fillings(
    slots: Sequence[str], words: Mapping[str, Sequence[str]], most: int, draw: int, purpose: str
) -> Iterator[dict[str, str]]:
    """Yield different ways to fill slots, all where there are at most so many.

    Args:
        slots: Names of slots.
        words: What each may be filled with; no word twice.
        most: Fillings, at most.
        draw: Number of the draw.
        purpose: What is filled, so that two templates are filled in other ways.
    """
    sizes = [len(words[slot]) for slot in slots]
    for number in _numbers(prod(sizes), most, draw, purpose):
        filling = {}
        for slot, size in zip(slots, sizes, strict=True):
            number, place = divmod(number, size)
            filling[slot] = words[slot][place]
        yield filling


def _numbers(total: int, most: int, draw: int, purpose: str) -> list[int]:
    """Return at most so many of the numbers below a total, in the order of the draw."""
    if total <= 4 * most:
        return sorted(range(total), key=lambda number: rank(draw, purpose, str(number)))[:most]
    found: dict[int, None] = {}
    attempt = 0
    while len(found) < most:  # of four numbers three are free, at the least
        found.setdefault(int.from_bytes(rank(draw, purpose, f"any/{attempt}")) % total)
        attempt += 1
    return list(found)


def fill(text: str, filling: Mapping[str, str]) -> tuple[str, dict[str, Place]]:
    """Return a text with its slots filled, and where the first filling of each slot stands in it."""
    parts, at, length, places = list[str](), 0, 0, dict[str, Place]()
    for found in SLOT.finditer(text):
        before, word = text[at : found.start()], filling[found[1]]
        parts += [before, word]
        start = length + len(before)
        places.setdefault(found[1], (start, start + len(word)))
        length, at = start + len(word), found.end()
    return "".join([*parts, text[at:]]), places


def pieces(text: str) -> list[str]:
    """Return the words of a template, slots among them; what sticks to a slot is a word of its own."""
    return re.findall(r"\{[^{}]+\}|[^\s{}]+", text)
