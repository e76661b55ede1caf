"""From full tuning to LoRA: the difference of each tuned matrix from the frozen one, as the nearest of low rank.

Merging tools extract LoRA from fine-tuned checkpoints in the same way (mergekit's ``extract-lora``; Goddard et al.,
2024).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..backbones import LayerStack
from .adaptation import Adaptation, device_of
from .adapters import parameter_place
from .adapters.lora import LoraAdapter, LowRank


def extract_lora(adaptation: Adaptation, stack: LayerStack, rank: int) -> float:
    """Replace the unfrozen matrices of an adaptation by LoRA of ``rank``, whose ``alpha`` is the rank.

    Args:
        adaptation: Changed in place; of the stack's parameters, matrices of linear layers alone are unfrozen in it.
        stack: The frozen layers.
        rank: ``r``.

    Returns:
        How much of what the matrices have learnt is kept: the share of the differences' squared norm, 1 where there
        is none.
    """
    pairs, kept, whole = {}, 0.0, 0.0
    for key, tuned in adaptation.unfrozen.items():
        name = key.replace("/", ".")
        difference = tuned.detach() - stack.get_parameter(name).float()
        pair = pairs[parameter_place(name)] = LowRank(*nearest_of_rank(difference, rank))
        with torch.no_grad():
            kept += float((pair.B @ pair.A).square().sum())
        whole += float(difference.square().sum())
    adaptation.adapter = LoraAdapter(pairs, float(rank)).to(device_of(adaptation, stack))
    adaptation.unfrozen = nn.ParameterDict()
    return kept / whole if whole else 1.0


def nearest_of_rank(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return ``A [rank, inputs]`` and ``B [outputs, rank]``, whose product is nearest to ``matrix [outputs, inputs]``.

    The truncated singular value decomposition (Eckart & Young, 1936), with the root of each singular value on either
    side; rows and columns beyond the rank that a matrix can have are zero.
    """
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    root = s[:rank].sqrt()
    a, b = root.unsqueeze(1) * v[:rank], u[:, :rank] * root
    missing = rank - len(root)
    return F.pad(a, (0, 0, 0, missing)), F.pad(b, (0, missing))
