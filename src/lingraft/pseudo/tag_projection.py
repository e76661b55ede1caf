"""Tags carried from a sentence to its translation along word alignments (Yarowsky, Ngai & Wicentowski, 2001).

A sentence is projected whole or not at all: a name that is lost would be learnt as being none. Parts of speech are
more patient, since each word stands for itself; a word without one is not learnt from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..results.metrics.spans import Span, spans_of

OUTSIDE = "O"
UNKNOWN = "_"
"""The tag of a word whose tag is not known, as CoNLL-U writes it; it is none of the labels, and so is not learnt."""

LEAST_OF_SPAN, LEAST_OF_WORDS = 0.6, 0.5
"""The share of a span's words, or of a sentence's, that must be aligned."""

LONGEST = 2
"""A span and its projection may differ in length by this factor and a word: "Hausan" is "of the Hausa people"."""

Links = Collection[tuple[int, int]]
"""Words that translate each other: the number of the source word, the number of the target word."""


class ProjectionError(Exception):
    """The labels of a text cannot be carried over; says why, in words that are counted."""


def project_spans(
    tags: Sequence[str], links: Links, length: int, *, least_share: float = LEAST_OF_SPAN
) -> tuple[str, ...]:
    """Carry the spans of BIO tags over.

    The projection of a span reaches from the first to the last word that is aligned with one of its words. A word
    between them that is aligned with nothing belongs to it, as the "ta" in a Hausa "Ma'aikatar Lafiya ta Najeriya".

    Args:
        tags: Of the source sentence.
        links: Words that translate each other.
        length: Words of the target sentence.
        least_share: Of a span's words, so many must be aligned.

    Returns:
        A tag for each target word.

    Raises:
        ProjectionError: A span has too few aligned words, falls apart, changes its length too much, or shares a word
            with another.
    """
    projected = [OUTSIDE] * length
    for span in sorted(spans_of(tags), key=lambda span: span[1]):
        start, end = _image(span, links, least_share)
        if any(tag != OUTSIDE for tag in projected[start:end]):
            raise ProjectionError("two spans share a word")
        projected[start:end] = [f"B-{span[0]}", *[f"I-{span[0]}"] * (end - start - 1)]
    return tuple(projected)


def _image(span: Span, links: Links, least_share: float) -> tuple[int, int]:
    """Return the first target word of a span, and the one after its last."""
    _, start, end = span
    inside = [(source, target) for source, target in links if start <= source < end]
    if not inside or len({source for source, _ in inside}) < least_share * (end - start):
        raise ProjectionError("too little of a span is aligned")
    targets = {target for _, target in inside}
    first, last = min(targets), max(targets)
    if any(first < target < last and target not in targets for _, target in links):
        raise ProjectionError("a span falls apart")
    shorter, longer = sorted((end - start, last + 1 - first))
    if longer > LONGEST * shorter + 1:
        raise ProjectionError("a span changes its length too much")
    return first, last + 1


def project_words(
    tags: Sequence[str], links: Links, length: int, *, least_share: float = LEAST_OF_WORDS
) -> tuple[str, ...]:
    """Carry the tag of each word over; a word whose translations differ in theirs stays :data:`UNKNOWN`.

    Args:
        tags: Of the source sentence.
        links: Words that translate each other.
        length: Words of the target sentence.
        least_share: So many of them must get a tag.

    Returns:
        A tag for each target word.

    Raises:
        ProjectionError: Fewer words get one.
    """
    found: list[set[str]] = [set() for _ in range(length)]
    for source, target in links:
        found[target].add(tags[source])
    projected = tuple(next(iter(one)) if len(one) == 1 else UNKNOWN for one in found)
    if not length or sum(tag != UNKNOWN for tag in projected) < least_share * length:
        raise ProjectionError("too few words are aligned")
    return projected
