"""Losses that compare each sentence with its own translation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from . import AlignmentLoss, View, alignment


@alignment.register("mse")
def mse() -> AlignmentLoss:
    """Squared distance of the pooled states, mean over dimensions (Reimers & Gurevych, 2020)."""

    def loss(source: View, target: View) -> Tensor:
        return F.mse_loss(target.states.pooled(), source.states.pooled())

    return AlignmentLoss(loss)


@alignment.register("cosine")
def cosine() -> AlignmentLoss:
    """One minus the cosine of the pooled states."""

    def loss(source: View, target: View) -> Tensor:
        return 1.0 - F.cosine_similarity(target.states.pooled(), source.states.pooled(), dim=-1).mean()

    return AlignmentLoss(loss)
