"""The linear head of several labels for each text, with the threshold above which a label is given.

A label that few texts have rarely gets a probability above one half, so where the line is drawn is chosen on
development data when all else is trained. The threshold is an output of its own, behind those of the labels: whoever
has the logits has the decision, and the probabilities of the labels stay what was learnt.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ...backbones import LayerStack
from ...core.records import States
from . import BuildHead, Head, heads
from .linear import LinearClassifier


class ThresholdedClassifier(LinearClassifier):
    """One linear layer on the mean of a text's states, and a threshold: logits ``[B, L + 1]`` for ``L`` labels."""

    thresholds: ClassVar[int] = 1
    threshold: Tensor

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__(width, outputs - 1)
        self.register_buffer("threshold", torch.zeros(()))

    def read(self, final: States) -> Tensor:
        """Return logits ``[B, L + 1]``; the last is the threshold, the same for all texts."""
        return self.read_pooled(final.pooled())

    def read_pooled(self, pooled: Tensor) -> Tensor:
        """Return logits ``[B, L + 1]`` of pooled states ``[B, H]``."""
        logits: Tensor = self(pooled)
        return torch.cat([logits, self.threshold.to(logits).expand(logits.shape[0], 1)], dim=-1)


@heads.register("thresholded")
def thresholded() -> BuildHead:
    """One linear layer on the mean of a text's states, and the threshold above which a label is given."""

    def build(stack: LayerStack, outputs: int, per_token: bool) -> Head:
        if per_token:
            raise ValueError("labels of a text are read off its mean; the kind must not be per_token")
        return ThresholdedClassifier(stack.width, outputs)

    return build
