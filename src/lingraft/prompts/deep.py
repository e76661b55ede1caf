"""Deep prompts: virtual tokens of their own at every layer above the cut (Li & Liang, 2021; P-tuning v2).

The rows are ordinary inputs of each block, so they are attended to like words and never depend
on a release's key/value cache. ``input`` is the classic soft prompt (Lester et al., 2021): one
block of rows before the first layer, which then changes from layer to layer like any token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from pydantic import NonNegativeInt
from torch import Tensor, nn

from . import Initial, prompts

Build = Callable[[int, range, Iterable[str], Initial], nn.Module]


@prompts.register("deep")
def deep(
    *, length: NonNegativeInt = 16, language_length: NonNegativeInt = 8, init: Literal["states", "normal"] = "states"
) -> Build:
    """Virtual tokens of their own for each block above the cut: a shared block and one per language."""

    def build(width: int, layers: range, languages: Iterable[str], initial: Initial) -> nn.Module:
        start = initial if init == "states" else _normal(width)
        return PromptRows(layers, languages, start, length=length, language_length=language_length, carried=False)

    return build


@prompts.register("input")
def input_prompt(
    *, length: NonNegativeInt = 16, language_length: NonNegativeInt = 0, init: Literal["states", "normal"] = "states"
) -> Build:
    """The classic soft prompt: virtual tokens before the first layer only (implies cut 0)."""

    def build(width: int, layers: range, languages: Iterable[str], initial: Initial) -> nn.Module:
        start = initial if init == "states" else _normal(width)
        return PromptRows(layers[:1], languages, start, length=length, language_length=language_length, carried=True)

    return build


class PromptRows(nn.Module):
    """Rows per layer: ``task.LAYER [P, H]`` and ``language.CODE.LAYER [P', H]``."""

    def __init__(
        self,
        layers: range,
        languages: Iterable[str],
        initial: Initial,
        *,
        length: int,
        language_length: int,
        carried: bool,
    ) -> None:
        super().__init__()
        self.carried = carried

        def per_layer(count: int) -> nn.ParameterDict:
            rows = {str(layer): nn.Parameter(initial(layer, count)) for layer in layers if count}
            return nn.ParameterDict(rows)

        self.task = per_layer(length)
        self.language = nn.ModuleDict({code: per_layer(language_length) for code in languages if language_length})

    def forward(self, layer: int, language: str) -> Tensor | None:
        """Rows for the input of block ``layer``: ``[P + P', H]``, or None where there are none."""
        parts = [self.task]
        if language in self.language:
            parts.append(self.language[language])  # type: ignore[arg-type]
        rows = [part[str(layer)] for part in parts if str(layer) in part]
        return torch.cat(rows) if rows else None


def _normal(width: int) -> Initial:
    """Small noise, the customary start of soft prompts."""
    return lambda layer, count: 0.02 * torch.randn(count, width)
