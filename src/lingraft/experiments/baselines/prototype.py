"""Classification by comparison with labelled texts, on frozen states; nothing is trained.

Nearest class centre (Snell et al., 2017) or nearest neighbours, both by cosine. The states are
centred first: sentence embeddings are crowded in one corner of the space, where all cosines are
high.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def prototype_logits(
    labelled: Tensor,
    targets: Tensor,
    states: Tensor,
    *,
    classes: int,
    centre: Tensor,
    by: Literal["centroid", "knn"] = "centroid",
    neighbours: int = 5,
) -> Tensor:
    """Score each class, the highest of which is the answer: ``[N, C]``.

    Args:
        labelled: ``[M, H]`` pooled states of labelled texts, shots included.
        targets: ``[M]`` their classes.
        states: ``[N, H]`` of the texts to classify.
        classes: ``C``.
        centre: ``[H]``, taken from all states.
        by: Cosine to the mean of each class, or votes of the nearest labelled texts.
        neighbours: How many vote; a tie goes to the class with the greater sum of cosines.

    Raises:
        ValueError: A class has no labelled text, so it has no centre.
    """
    known, texts = F.normalize(labelled - centre, dim=-1), F.normalize(states - centre, dim=-1)
    member = F.one_hot(targets, classes).to(known.dtype)  # [M, C]
    if by == "knn":
        similarity, nearest = (texts @ known.T).topk(min(neighbours, len(known)), dim=-1)  # [N, K]
        votes = member[nearest]  # [N, K, C]
        sums = (votes * similarity.unsqueeze(-1)).sum(1)
        return votes.sum(1) + sums / (4 * sums.abs().amax() + 1e-6)  # less than one vote
    counts = member.sum(0)
    if not bool(counts.all()):
        raise ValueError(f"class {int(counts.argmin())} has no labelled text; expected one of each of {classes}")
    centres = F.normalize(member.T @ (labelled - centre) / counts.unsqueeze(-1), dim=-1)  # [C, H]
    return torch.matmul(texts, centres.T)
