"""Words that translate each other should have the same state (Cao et al., 2020)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from . import AlignmentLoss, View, alignment


@alignment.register("words")
def words() -> AlignmentLoss:
    """One minus the cosine of aligned tokens, mean over them (Cao et al., 2020); aligned by frozen states."""

    def loss(source: View, target: View) -> Tensor:
        assert target.word_alignment is not None  # AlignmentLoss has looked
        row, a, b = target.word_alignment.unbind(-1)
        ours = target.states.without_prompt().tokens[row, b]  # [K, H]
        theirs = source.states.without_prompt().tokens[row, a]
        distances = 1.0 - F.cosine_similarity(ours, theirs, dim=-1)
        # The sum over no aligned words is a zero that can still be differentiated; their mean would not be a number.
        return distances.sum() / max(len(distances), 1)

    return AlignmentLoss(loss, needs=frozenset({"tokens", "word_alignment"}))
