"""Texts of one example that its label tells apart: where they become the same, the label is no longer true of them."""

from __future__ import annotations

from ..core.examples import ChoiceExample, Example, PairExample
from .text import normalise

SAME = "two texts that its label tells apart become the same"
"""Why such a copy is not learnt from."""


def loses_difference(original: Example, made: Example) -> bool:
    """Return whether texts of a pair, or alternatives of a choice, differ in an example and not in its copy.

    Either letter for letter, or in more than capitals and blanks.
    """
    before, after = _compared(original), _compared(made)
    return any(len(set(map(read, after))) < len(set(map(read, before))) for read in (str, normalise))


def _compared(example: Example) -> tuple[str, ...]:
    """Return the texts that the label of an example tells apart."""
    match example:
        case PairExample():
            return example.texts
        case ChoiceExample():
            return example.alternatives
    return ()
