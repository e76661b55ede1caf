"""Losses that ask each sentence to be nearer to its translation than to the others of the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...core.amounts import Factor
from . import AlignmentLoss, View, alignment


@alignment.register("contrastive")
def contrastive(*, temperature: Factor = 0.1) -> AlignmentLoss:
    """InfoNCE over in-batch translations, both directions (van den Oord et al., 2018)."""

    def loss(source: View, target: View) -> Tensor:
        similarity = cosine_matrix(target.states.pooled(), source.states.pooled()) / temperature  # [B, B]
        gold = torch.arange(len(similarity), device=similarity.device)
        return 0.5 * (F.cross_entropy(similarity, gold) + F.cross_entropy(similarity.T, gold))

    return AlignmentLoss(loss)


def cosine_matrix(rows: Tensor, columns: Tensor) -> Tensor:
    """Return the cosine of every row with every column: ``[..., B, H]``, ``[..., C, H]`` to ``[..., B, C]``."""
    return F.normalize(rows, dim=-1) @ F.normalize(columns, dim=-1).mT
