"""Gated prefixes: virtual tokens that start out unheard (LLaMA-Adapter, Zhang et al., 2023).

Each block above the cut attends to a prefix with a softmax of its own, and a gate per head scales
what that adds. Gates start at zero, so training starts from exactly the frozen model. At zero the
rows have no gradient, only the gate has: it learns ten times faster than they (``loop.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn

from ...backbones import Branch, LayerStack, Prefix
from ...core.amounts import TokensOrNone
from ..answering import answering
from . import Build, Init, Initial, prompts
from .split import Make, SplitParameters, with_rows


@prompts.register("gated")
def gated(
    *,
    length: TokensOrNone = 16,
    language_length: TokensOrNone = 8,
    init: Init = "states",
    text: str | None = None,
    decoder: bool | None = None,
) -> Build:
    """Prefixes with a softmax of their own behind zero gates, in each block above the cut; starts as the identity.

    The self-attention of the decoder that writes an encoder-decoder's answers has some, too, unless `decoder: false`.

    Args:
        length: Virtual tokens that all languages share, ``P``.
        language_length: Virtual tokens of each language's own, ``P'``.
        init: What they start from.
        text: The text, with ``init: text``.
        decoder: Whether the decoder has some, too, which start as noise; by default where one writes the answers.
    """
    in_encoder = with_rows(
        lambda stack: partial(GatedPrefixes, num_heads=stack.num_heads),
        length=length,
        language_length=language_length,
        init=init,
        text=text,
    )

    def build(stack: LayerStack, layers: range, languages: Iterable[str], initial: Initial) -> nn.Module:
        codes = list(languages)
        prompt = in_encoder(stack, layers, codes, initial)
        if writer := answering(stack, decoder, "prompt"):

            def noise(count: int) -> Make | None:
                return (lambda layer: initial("normal", layer, count)) if count else None

            blocks, rows = range(len(writer.layers)), (noise(length), noise(language_length))
            prompt.decoder = GatedPrefixes(blocks, codes, *rows, num_heads=writer.num_heads)
        return prompt

    return build


class GatedPrefixes(SplitParameters):
    """Rows ``task.LAYER [P, H]`` and ``language.CODE.LAYER [P', H]``; under ``gate``, a gate ``[heads]`` for each."""

    carried = False

    def __init__(
        self, layers: range, languages: Iterable[str], task: Make | None, language: Make | None, *, num_heads: int
    ) -> None:
        languages = list(languages)
        super().__init__(layers, languages, task, language)

        def closed(layer: int) -> Tensor:
            return torch.zeros(num_heads)

        self.gate = SplitParameters(layers, languages, closed if task else None, closed if language else None)

    def forward(self, layer: int, language: str) -> tuple[Branch, ...] | None:
        """Return the task's prefix and the language's for block ``layer``, or None where there is neither."""
        rows, gates = self.parts(layer, language), self.gate.parts(layer, language)
        return tuple(Prefix(*pair) for pair in zip(rows, gates, strict=True)) or None
