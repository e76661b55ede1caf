"""Pseudo-data: sentences that nobody wrote, made from those of the source language to be learnt from as the target's.

A generator makes a copy of a sentence; copy and original are a pair, whose states are aligned. A factory takes
options and returns a :class:`Generator`; which one a recipe wants is said in ``parallel.augmentation``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ...core.examples import PairExample
from ...core.registry import Registry
from ..lexicon import Lexicon


class Make(Protocol):
    """What makes one copy of a sentence."""

    def __call__(
        self, example: PairExample, lexicon: Lexicon, language: str, *, draw: int, copy: int
    ) -> PairExample | None:
        """Return a copy of ``example``, or None where nothing can be made of it.

        The copy has an id of its own, the group of the original, ``language``, no label, and as ``origin`` the
        generator's name. The same arguments give the same copy.

        Args:
            example: Of the source language, without a label.
            lexicon: The words of the source language that have a translation; empty where the recipe has none.
            language: Which the copy is learnt from as a text of.
            draw: Number of the draw.
            copy: Number of the copy; another one is another text.
        """
        ...


@dataclass(frozen=True)
class Generator:
    """What makes copies, and whether it can do anything without a lexicon."""

    make: Make
    needs_lexicon: bool = False


augmentation = Registry("lingraft.augmentation", "lingraft.data.augmentation")
