"""The tokens that a tokenizer puts around texts: encoders have markers on all sides, decoders one in front or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LINE_BREAK = "\n"
"""Stands between two texts where a tokenizer has no marker for that place: what a language model has seen there."""


@dataclass(frozen=True)
class Markers:
    """Token ids before a text or a pair of texts, between the two, and after them."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]


def markers_of(tokenizer: Any) -> Markers:
    """Return what a fast tokenizer puts around two texts."""
    pair = tokenizer("a", "b")
    ids, sides = tuple(pair["input_ids"]), pair.sequence_ids(0)
    if 0 not in sides or 1 not in sides:  # a vocabulary without a single letter
        return Markers((), (), ids)
    ends = [len(sides) - sides[::-1].index(side) for side in (0, 1)]
    return Markers(ids[: sides.index(0)], ids[ends[0] : sides.index(1)], ids[ends[1] :])


def mark_answers_apart(tokenizer: Any) -> None:
    """Note on a tokenizer that its model's answers are written by a decoder apart, which nothing in it shows."""
    tokenizer.lingraft_answers_apart = True


def answers_apart(tokenizer: Any) -> bool:
    """Return whether answers are written by a decoder apart, so that they follow no text; who loads it notes that."""
    return bool(getattr(tokenizer, "lingraft_answers_apart", False))


def reads_onwards(tokenizer: Any) -> bool:
    """Return whether a tokenizer is that of a decoder, which it shows by closing no text.

    What is to be read off a token then has to stand behind what it depends on.
    """
    return not markers_of(tokenizer).after


def count_opening(tokenizer: Any, text_prefix: str) -> int:
    """Count the tokens that open every text: markers, and the checkpoint's prefix (``"query: "``)."""
    read = tokenizer(text_prefix.strip())["input_ids"]
    return len(read) - len(markers_of(tokenizer).after)
