"""Losses that compare each sentence with its own translation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..records import States
from . import AlignmentLoss, alignment


@alignment.register("mse")
def mse() -> AlignmentLoss:
    """Squared distance of the pooled states, mean over dimensions (Reimers & Gurevych, 2020)."""

    def loss(source: States, target: States) -> Tensor:
        return F.mse_loss(target.pooled(), source.pooled())

    return loss


@alignment.register("cosine")
def cosine() -> AlignmentLoss:
    """One minus the cosine of the pooled states."""

    def loss(source: States, target: States) -> Tensor:
        return 1.0 - F.cosine_similarity(target.pooled(), source.pooled(), dim=-1).mean()

    return loss
