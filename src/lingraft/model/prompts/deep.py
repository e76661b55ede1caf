"""Deep prompts: virtual tokens of their own at every layer above the cut (Li & Liang, 2021; P-tuning v2).

The rows are ordinary inputs of each block, so they are attended to like words and never depend
on a release's key/value cache. ``input`` is the classic soft prompt (Lester et al., 2021): one
block of rows before the first layer, which then changes from layer to layer like any token.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from ...core.amounts import TokensOrNone
from . import Build, Init, prompts
from .split import Make, SplitParameters, with_rows


@prompts.register("deep")
def deep(
    *,
    length: TokensOrNone = 16,
    language_length: TokensOrNone = 8,
    init: Init = "states",
    text: str | None = None,
) -> Build:
    """Virtual tokens of their own for each block above the cut: a shared block and one per language.

    Args:
        length: Virtual tokens that all languages share, ``P``.
        language_length: Virtual tokens of each language's own, ``P'``.
        init: What they start from.
        text: The text, with ``init: text``.
    """
    return with_rows(
        lambda stack: partial(PromptRows, carried=False),
        length=length,
        language_length=language_length,
        init=init,
        text=text,
    )


@prompts.register("input")
def input_prompt(
    *,
    length: TokensOrNone = 16,
    language_length: TokensOrNone = 0,
    init: Init = "states",
    text: str | None = None,
) -> Build:
    """Classic soft prompt: virtual tokens before the first layer only (implies cut 0).

    Args:
        length: Virtual tokens that all languages share, ``P``.
        language_length: Virtual tokens of each language's own, ``P'``.
        init: What they start from.
        text: The text, with ``init: text``.
    """
    return with_rows(
        lambda stack: partial(PromptRows, carried=True),
        length=length,
        language_length=language_length,
        init=init,
        text=text,
    )


class PromptRows(SplitParameters):
    """Rows per layer: ``task.LAYER [P, H]`` and ``language.CODE.LAYER [P', H]``."""

    def __init__(
        self, layers: range, languages: Iterable[str], task: Make | None, language: Make | None, *, carried: bool
    ) -> None:
        # Rows that are carried on enter once.
        super().__init__(layers[:1] if carried else layers, languages, task, language)
        self.carried = carried

    def forward(self, layer: int, language: str) -> Tensor | None:
        """Return rows for the input of block ``layer``: ``[P + P', H]``, or None where there are none."""
        rows = self.parts(layer, language)
        return torch.cat(rows) if rows else None
