"""The linear head of tokens with a threshold for "no answer", which is said at a token of its own.

Questions that a context does not answer point at the first token, which belongs to no text (Devlin et al., 2019, on
SQuAD v2); in a decoder that token has seen nothing, and they point at the last. How much that must outweigh the best
piece of the context is chosen on development data when all else is trained. The threshold is taken off the logits of
that token, half from the first and half from the last position of an answer, so that whoever has the logits has the
decision. In training nothing is taken off.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...backbones import LayerStack
from ...core.records import States
from . import BuildHead, Head, heads
from .linear import LinearClassifier


class NoAnswerClassifier(LinearClassifier):
    """One linear layer on each token, ``[B, T, C]``, with a threshold at the first, or the last if ``behind``."""

    threshold: Tensor

    def __init__(self, width: int, outputs: int, *, behind: bool = False) -> None:
        super().__init__(width, outputs, per_token=True)
        self.behind = behind
        self.register_buffer("threshold", torch.zeros(()))

    def read(self, final: States) -> Tensor:
        """Return logits ``[B, T, C]``; out of training the threshold is taken off those of "no answer"."""
        logits = super().read(final)
        if self.training:
            return logits
        there = self.place(final.mask).unsqueeze(-1)
        return logits - there * (self.threshold.to(logits) / logits.shape[-1])

    def place(self, mask: Tensor) -> Tensor:
        """Return where "no answer" is said, ``[B, T]`` bool, of a mask ``[B, T]`` of texts padded on the right."""
        position = torch.arange(mask.shape[1], device=mask.device)
        return position == (mask.long().sum(1, keepdim=True) - 1 if self.behind else torch.zeros_like(mask[:, :1]))


@heads.register("no_answer")
def no_answer() -> BuildHead:
    """One linear layer on each token, with a threshold for "no answer" at the first, or in decoders the last."""

    def build(stack: LayerStack, outputs: int, per_token: bool) -> Head:
        if not per_token:
            raise ValueError('"no answer" is said at a token; the kind must be per_token')
        return NoAnswerClassifier(stack.width, outputs, behind=stack.closing == 0)

    return build
