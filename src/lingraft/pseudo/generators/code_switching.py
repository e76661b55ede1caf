"""Labelled code-switching: source examples with some of their words translated (CoSDA-ML, Qin et al., 2020).

Beside words of the target language stand the source's own, whose meaning the model knows: from these it learns what
the others mean for the task. ``parallel.lexicon`` makes such copies without labels, to be aligned with their originals.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...core.amounts import Copies
from ...data.augmentation.switching import CODE_SWITCHING
from .. import Weight
from ..word_copies import WordCopies
from . import Generator, generators

Part = Annotated[float, Field(gt=0, le=1)]


@generators.register(CODE_SWITCHING)
def code_switching(
    *, ratio: Part = 0.5, copies: Copies = 1, inflections: bool = True, weight: Weight = 0.5
) -> Generator:
    """Labelled source examples, a share of the words that the lexicon knows translated.

    Args:
        ratio: The share of the different entries in an example, at least one.
        copies: Of each example, switched elsewhere.
        inflections: Whether an English word that the lexicon lists in another form is translated too.
        weight: How much a copy counts, where the original counts 1.
    """
    return WordCopies(CODE_SWITCHING, ratio, copies, inflections, weight).generator()
