"""Deep prompts: virtual tokens of their own at every layer above the cut (Li & Liang, 2021; P-tuning v2).

The rows are ordinary inputs of each block, so they are attended to like words and never depend
on a release's key/value cache. ``input`` is the classic soft prompt (Lester et al., 2021): one
block of rows before the first layer, which then changes from layer to layer like any token.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from pydantic import NonNegativeInt
from torch import Tensor, nn

from ..backbones import LayerStack
from . import Build, Init, Initial, beginning, prompts
from .split import Make, SplitParameters


@prompts.register("deep")
def deep(
    *,
    length: NonNegativeInt = 16,
    language_length: NonNegativeInt = 8,
    init: Init = "states",
    text: str | None = None,
) -> Build:
    """Virtual tokens of their own for each block above the cut: a shared block and one per language."""
    how = beginning(init, text)

    def build(stack: LayerStack, layers: range, languages: Iterable[str], initial: Initial) -> nn.Module:
        task, language = new_rows(initial, how, length), new_rows(initial, how, language_length)
        return PromptRows(layers, languages, task, language, carried=False)

    return build


@prompts.register("input")
def input_prompt(
    *,
    length: NonNegativeInt = 16,
    language_length: NonNegativeInt = 0,
    init: Init = "states",
    text: str | None = None,
) -> Build:
    """The classic soft prompt: virtual tokens before the first layer only (implies cut 0)."""
    how = beginning(init, text)

    def build(stack: LayerStack, layers: range, languages: Iterable[str], initial: Initial) -> nn.Module:
        task, language = new_rows(initial, how, length), new_rows(initial, how, language_length)
        return PromptRows(layers[:1], languages, task, language, carried=True)

    return build


class PromptRows(SplitParameters):
    """Rows per layer: ``task.LAYER [P, H]`` and ``language.CODE.LAYER [P', H]``."""

    def __init__(
        self, layers: range, languages: Iterable[str], task: Make | None, language: Make | None, *, carried: bool
    ) -> None:
        super().__init__(layers, languages, task, language)
        self.carried = carried

    def forward(self, layer: int, language: str) -> Tensor | None:
        """Rows for the input of block ``layer``: ``[P + P', H]``, or None where there are none."""
        rows = self.parts(layer, language)
        return torch.cat(rows) if rows else None


def new_rows(initial: Initial, how: str, count: int) -> Make | None:
    """Makes ``count`` rows of a layer; ``None`` if there are to be none."""
    return (lambda layer: initial(how, layer, count)) if count else None
