"""Texts that are nearly the same: a word changed, a date, the punctuation.

Texts are compared by the share of character 5-grams that they have in common (Jaccard similarity), which needs no
words and so serves any script. Only pairs that fall together in one of several bands of MinHash values (Broder, 1997)
are compared, so the time grows with the number of texts, not of pairs. The module imports no torch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .text import normalise

NEAR = 0.8
"""Share of 5-grams in common from which two texts are nearly the same."""

LENGTH = 5
"""Characters of a piece."""

SHORTEST = 16
"""Characters from which a text is compared: of names and words a letter makes others (Azerbaijan, Azerbaijani)."""

LONGEST = 2_000
"""Characters of a text that are compared."""

BANDS, ROWS = 10, 3
"""Texts that share 80 % of their pieces fall together in one of the bands with a probability of 0.999."""

MOST_COMPARED = 50
"""Texts that one text is compared with at most, of those that fall together with it."""

Pieces = NDArray[np.uint64]
"""The different 5-grams of a text as numbers, sorted."""


@dataclass(frozen=True, slots=True)
class Near:
    """Two texts by their places, and how similar they are."""

    known: int
    text: int
    similarity: float


def near_duplicates(known: Sequence[str], texts: Sequence[str], *, least: float = NEAR) -> list[Near]:
    """Find for each of ``texts`` the most similar of ``known``, where there is one that is nearly the same.

    Texts that are the same once normalised (:func:`~lingraft.data.text.normalise`) are not told: they are no near
    duplicates but duplicates, which :mod:`~lingraft.data.leakage` finds. Nor are texts of a word or two.

    Args:
        known: Such as those of a training set.
        texts: Such as those of a test set.
        least: Share of 5-grams in common from which two texts are nearly the same.
    """
    plain = [normalise(text)[:LONGEST] for text in known]
    pieces = [_pieces_of(text) for text in plain]
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for place, own in enumerate(pieces):
        for band in _bands_of(own):
            buckets[band].append(place)
    found = []
    for place, text in enumerate(texts):
        other = normalise(text)[:LONGEST]
        own = _pieces_of(other)
        candidates = dict.fromkeys(one for band in _bands_of(own) for one in buckets.get(band, ())[:MOST_COMPARED])
        compared = [
            Near(one, place, _similarity(pieces[one], own))
            for one in list(candidates)[:MOST_COMPARED]
            if plain[one] != other
        ]
        best = max(compared, key=lambda near: near.similarity, default=None)
        if best is not None and best.similarity >= least:
            found.append(best)
    return found


def _pieces_of(text: str) -> Pieces:
    """Return the different pieces of a text; none where it is too short to be compared."""
    characters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    if len(characters) < SHORTEST:
        return characters[:0]
    return np.unique(_mixed((sliding_window_view(characters, LENGTH) * WEIGHTS).sum(-1)))


def _bands_of(pieces: Pieces) -> list[tuple[int, bytes]]:
    """Return the bands that a text falls into: texts with most pieces in common share one."""
    if not len(pieces):
        return []
    lowest = _mixed(pieces[None] ^ SEEDS[:, None]).min(-1)  # [BANDS * ROWS]
    return [(band, lowest[band * ROWS : (band + 1) * ROWS].tobytes()) for band in range(BANDS)]


def _similarity(one: Pieces, other: Pieces) -> float:
    """Return the share of all pieces of two texts that both have."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def _mixed(numbers: Pieces) -> Pieces:
    """Scramble 64-bit numbers (the finaliser of SplitMix64, Steele et al., 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


WEIGHTS: Pieces = _mixed(np.arange(1, LENGTH + 1, dtype=np.uint64)) | np.uint64(1)
SEEDS: Pieces = _mixed(np.arange(1_000, 1_000 + BANDS * ROWS, dtype=np.uint64))
