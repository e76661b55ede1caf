"""Tags of words, and the spans that BIO tags stand for.

``B-PER I-PER O`` is one span of a person. A tagger that decides word by word also writes ``O I-PER``, which no
annotator would: by the rule of CoNLL's script (Tjong Kim Sang and De Meulder, 2003), which is what seqeval
(Nakayama, 2018) does by default, an ``I`` that continues nothing of its type begins a span. Other schemes mark spans
by other letters: IOB1 has a ``B`` only between two spans of one type, IOBES (``S-PER``, ``B-PER E-PER``), BILOU and
BMEWO mark the last word, too. They are read as the spans that they mark.

The tags of a sentence travel as one string, joined by blanks, as ``records.TaggedExample.gold`` has them.
The module imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...core.errors import DataError
from . import Counts, Metric

__all__ = ["SPAN_LETTERS", "Span", "check_tag", "repair_tags", "span_f1", "spans_of", "tag_accuracy"]

Span = tuple[str, int, int]
"""Type, first word, and the word after the last."""

SPAN_LETTERS = ("B", "I", "O", "E", "S", "L", "U", "M", "W")
"""Of BIO, and of the schemes that mark where spans end: IOBES, BILOU (last, unit), BMES and BMEWO (middle, whole)."""

BEGINS = ("B", "S", "U", "W")
ENDS = ("E", "S", "L", "U", "W")

UNTYPED = "_"
"""The type of a bare ``B`` or ``I``, as seqeval calls it."""


def spans_of(tags: Sequence[str]) -> set[Span]:
    """Return the spans of one sentence.

    Args:
        tags: ``O``, ``B-TYPE`` or ``I-TYPE``, one for each word; or the letters of IOBES, BILOU and BMEWO.

    Raises:
        DataError: Something else.
    """
    spans: set[Span] = set()
    start, kind = 0, ""  # no type: outside
    for place, tag in enumerate([*repair_tags(tags), "O"]):
        letter, type_ = _parts(tag)
        if kind and letter != "I":
            spans.add((kind, start, place))
            kind = ""
        if letter == "B":
            start, kind = place, type_
    return spans


def check_tag(tag: str) -> None:
    """Refuse what is no BIO tag.

    Raises:
        DataError: It is none; with the cure.
    """
    _parts(tag)


def repair_tags(tags: Sequence[str]) -> list[str]:
    """Write spans in BIO (IOB2), each beginning at a ``B``; they stay the same spans.

    Raises:
        DataError: As :func:`spans_of`.
    """
    result, open_type = [], ""
    for tag in tags:
        letter, type_ = _parts(tag)
        if letter == "O":
            result.append(tag)
        else:
            begins = letter in BEGINS or type_ != open_type
            result.append(f"{'B' if begins else 'I'}{tag[1:]}")
        open_type = "" if letter == "O" or letter in ENDS else type_
    return result


def _parts(tag: str) -> tuple[str, str]:
    """Split a tag into letter and type."""
    letter, hyphen, type_ = tag.partition("-")
    if letter not in SPAN_LETTERS or (letter == "O" and hyphen):
        raise DataError(
            f"{tag!r} is not a BIO tag; expected O, B-TYPE or I-TYPE (or the letters of IOBES or BILOU). Tags that are "
            "not spans, such as parts of speech, are a task with `scheme: plain`, scored by tag_accuracy"
        )
    return letter, type_ or UNTYPED


def _span_counts(gold: str, predicted: str) -> Counts:
    right, guessed = map(spans_of, _same_length(gold, predicted))
    return float(len(right & guessed)), float(len(guessed)), float(len(right))


def _tag_counts(gold: str, predicted: str) -> Counts:
    right, guessed = _same_length(gold, predicted)
    return float(sum(map(str.__eq__, right, guessed))), float(len(right))


def _same_length(gold: str, predicted: str) -> tuple[list[str], list[str]]:
    right, guessed = gold.split(), predicted.split()
    if len(right) != len(guessed):
        raise ValueError(f"{len(guessed)} tags predicted for {len(right)} words; expected one for each")
    return right, guessed


def _right_tags(gold: str, predicted: str) -> float:
    right, words = _tag_counts(gold, predicted)
    return right / words if words else 1.0


def _right_bio_tags(gold: str, predicted: str) -> float:
    """Return the share of words with the right tag, tags that mean the same spans being the same."""
    right, guessed = (" ".join(repair_tags(tags)) for tags in _same_length(gold, predicted))
    return _right_tags(right, guessed)


span_f1 = Metric(_span_counts, "f1", _right_bio_tags)
"""F1 of the spans of all sentences together: right are those of the same type with the same ends."""

tag_accuracy = Metric(_tag_counts, "mean", _right_tags)
"""Share of words with the right tag."""
