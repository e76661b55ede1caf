"""Which scheme the tags of words are in, and all of them as BIO: IOB1, IOB2, IOBES, BILOU, BMEWO, or no spans at all.

Corpora seldom say how they are tagged, and rarely need to: the letters before the hyphen tell, and where only ``B``
and ``I`` occur, whether spans begin with ``I``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from ..core.examples import Example, TaggedExample
from ..results.metrics.spans import SPAN_LETTERS, UNTYPED, repair_tags
from .kinds.tagging import Scheme, check_of
from .labelling import FitLabelling, Labelling

AnyScheme = Literal["auto", "bio", "plain"]

PLAIN, BIO, IOB1 = "plain", "BIO", "IOB1"

BY_LETTERS = (("IOBES", "ES"), ("BILOU", "LU"), ("BMES", "MES"), ("BMEWO", "MEW"))
"""Schemes that mark where spans end, and the letters by which they do."""

ReadTagged = Callable[[Callable[[str], None] | None], list[TaggedExample]]
"""Reads a file, given what refuses a tag that is not of the scheme."""


def find_scheme(sentences: Iterable[Sequence[str]]) -> str:
    """Return what a corpus is tagged in: ``plain`` (no spans), ``BIO``, ``IOB1``, or a scheme of :data:`BY_LETTERS`.

    Tags mark spans where most different ones have one of the schemes' letters before a hyphen, or where all are such
    letters and ``B`` is among them.
    """
    sentences = list(sentences)
    tags = {tag for sentence in sentences for tag in sentence} - {"O"}
    typed = {tag for tag in tags if tag[:1] in SPAN_LETTERS and tag[1:2] == "-" and tag[2:]}
    bare = tags <= set(SPAN_LETTERS) and "B" in tags
    if not bare and 2 * len(typed) <= len(tags):
        return PLAIN
    letters = {tag[:1] for tag in (tags if bare else typed)} - {"B", "I"}
    if letters:
        return next((name for name, known in BY_LETTERS if letters <= set(known)), "/".join(sorted(letters)))
    return IOB1 if _begins_with_i(sentences) else BIO


def _begins_with_i(sentences: Sequence[Sequence[str]]) -> bool:
    """Return whether spans begin with ``I``, and with ``B`` only where they follow another of their type."""
    begun = False
    for sentence in sentences:
        before = ""
        for tag in sentence:
            type_ = "" if tag == "O" else tag[1:] or UNTYPED
            if tag[:1] == "B" and before != type_:
                return False
            begun |= tag[:1] == "I" and before != type_
            before = type_
    return begun


def tag_reader(scheme: AnyScheme) -> Callable[[ReadTagged], list[TaggedExample]]:
    """Return what reads the files of a task, given what reads one of them with what refuses a tag.

    Args:
        scheme: ``auto`` to see by the tags of the first file, that of training, whether tags mark spans; then all
            must, and one that does not is refused with its line.
    """
    found: list[Scheme] = [] if scheme == "auto" else [scheme]

    def read(file: ReadTagged) -> list[TaggedExample]:
        if not found:
            found.append(_kind_of(file(None)))
        return file(check_of(found[0]))

    return read


def fit_scheme(scheme: AnyScheme) -> FitLabelling:
    """Return what reads tags as BIO, whichever scheme they are in, and leaves those alone that mark no spans."""

    def fit(training: Sequence[Example], tell: Callable[[str], None]) -> Labelling:
        known: Scheme = scheme if scheme != "auto" else _kind_of(training)
        if known == "plain":
            if scheme == "auto":
                some = ", ".join(sorted(_tags_of(training))[:3])
                tell(f"tags: {some}, … mark no spans, so they stand for themselves and are scored by tag accuracy")
            return Labelling(options={"scheme": known})
        told: set[str] = set()

        def as_bio(examples: Sequence[Example]) -> list[Example]:
            found = find_scheme(example.labels for example in examples)
            if found in (BIO, PLAIN):
                return list(examples)
            if found not in told:
                told.add(found)
                tell(f"tags: {found} is read and converted to BIO; the spans stay the same")
            return [example.with_labels(tuple(repair_tags(example.labels))) for example in examples]

        return Labelling(as_bio, {"scheme": known})

    return fit


def _kind_of(training: Sequence[Example]) -> Scheme:
    """Return whether tags mark spans."""
    return "plain" if find_scheme(example.labels for example in training) == PLAIN else "bio"


def _tags_of(examples: Iterable[Example]) -> set[str]:
    return {tag for example in examples for tag in example.labels}
