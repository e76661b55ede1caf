"""Train/test overlap: what is evaluated on, and its groups, taken out of what is learnt from."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..core.examples import Example, ParallelPair
from .sampling import E
from .text import normalise, strip_blanks


def remove_groups(examples: Iterable[E], groups: Collection[str]) -> tuple[list[E], int]:
    """Leave out the examples of some groups; return the rest and how many went.

    For data whose identifiers mean the same on both sides, as parallel corpora's do. Line numbers of
    two files do not: use :func:`remove_overlap` there.
    """
    kept, total = [], 0
    for example in examples:
        total += 1
        if example.group not in groups:
            kept.append(example)
    return kept, total - len(kept)


def remove_overlap(examples: Iterable[E], evaluation: Iterable[Example]) -> tuple[list[E], int]:
    """Leave out the examples whose text, ordered pair of texts, or context of a question is evaluated on.

    Returns:
        The rest, and how many went.
    """
    forbidden = {identity_of(example) for example in evaluation}
    kept, total = [], 0
    for example in examples:
        total += 1
        if identity_of(example) not in forbidden:
            kept.append(example)
    return kept, total - len(kept)


def remove_overlapping_pairs(
    pairs: Iterable[ParallelPair], evaluation: Iterable[Example]
) -> tuple[list[ParallelPair], int]:
    """Leave out the parallel pairs of which either side is a text that is evaluated on.

    Returns:
        The rest, and how many went.
    """
    forbidden = {strip_blanks(text) for example in evaluation for text in example.texts}
    kept, total = [], 0
    for pair in pairs:
        total += 1
        if not forbidden.intersection(map(strip_blanks, (pair.source, pair.target))):
            kept.append(pair)
    return kept, total - len(kept)


def identity_of(example: Example) -> tuple[str, ...]:
    """Return what leakage is judged on, normalised."""
    return tuple(normalise(text) for text in example.identity)
