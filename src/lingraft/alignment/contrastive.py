"""Losses that ask each sentence to be nearer to its translation than to the others of the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from ..records import States
from . import AlignmentLoss, alignment


@alignment.register("contrastive")
def contrastive(*, temperature: PositiveFloat = 0.1) -> AlignmentLoss:
    """InfoNCE over in-batch translations, both directions (van den Oord et al., 2018)."""

    def loss(source: States, target: States) -> Tensor:
        similarity = cosine_matrix(target.pooled(), source.pooled()) / temperature  # [B, B]
        gold = torch.arange(len(similarity), device=similarity.device)
        return 0.5 * (F.cross_entropy(similarity, gold) + F.cross_entropy(similarity.T, gold))

    return loss


def cosine_matrix(rows: Tensor, columns: Tensor) -> Tensor:
    """Cosine of every row with every column: ``[B, H]``, ``[C, H]`` to ``[B, C]``."""
    return F.normalize(rows, dim=-1) @ F.normalize(columns, dim=-1).T
