"""Code-switching: copies of sentences in which words are replaced by their translations (Qin et al., 2020)."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field

from . import Generator, augmentation
from .switching import CODE_SWITCHING, switch_example


@augmentation.register(CODE_SWITCHING)
def code_switching(*, ratio: Annotated[float, Field(gt=0, le=1)] = 0.5, inflections: bool = False) -> Generator:
    """Words replaced by their translations: a share of those in a sentence that the lexicon knows.

    Args:
        ratio: The share.
        inflections: Whether English words that the lexicon lists in another form are replaced too.
    """
    return Generator(partial(switch_example, ratio=ratio, inflections=inflections), needs_lexicon=True)
