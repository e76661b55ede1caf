"""Losses between words that translate each other, for tasks that read every token: questions, tags.

What they move is every token's state, which such a task reads, so they may cost it features of its own. They
are meant for parts that all languages share (``prompt.language_length: 0``), with a small weight, at a layer in
the middle and at the last; their ``anchor`` holds the source language's tokens where they were.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ...core.amounts import Factor, FactorOrNone
from ...model.word_alignment import content
from . import AlignmentLoss, Need, View, alignment
from .contrastive import cosine_matrix

NEEDS: frozenset[Need] = frozenset({"tokens", "word_alignment"})


@alignment.register("words")
def words(*, anchor: FactorOrNone = 0.0) -> AlignmentLoss:
    """One minus the cosine of aligned tokens, mean over them (Cao et al., 2020); aligned by frozen states.

    Args:
        anchor: How much :func:`distance_from_start` of the source language's tokens counts beside it; this too is
            multiplied by ``train.source_regularisation``.
    """

    def loss(source: View, target: View) -> Tensor:
        ours, theirs = aligned_tokens(source, target)
        distances = 1.0 - F.cosine_similarity(ours, theirs, dim=-1)
        # The sum over no aligned words is a zero that can still be differentiated; their mean would not be a number.
        return distances.sum() / max(len(distances), 1)

    return AlignmentLoss(loss, needs=NEEDS, anchor=anchored(anchor))


@alignment.register("contrastive_words")
def contrastive_words(*, temperature: Factor = 0.1, anchor: FactorOrNone = 0.0) -> AlignmentLoss:
    """InfoNCE over aligned tokens, both directions: each nearer to its translation than to others (Wu & Dredze, 2020).

    The others are the aligned tokens of the other side in the whole batch ("weak alignment" there).

    Args:
        temperature: What cosines are divided by.
        anchor: How much :func:`distance_from_start` of the source language's tokens counts beside it; this too is
            multiplied by ``train.source_regularisation``.
    """

    def loss(source: View, target: View) -> Tensor:
        similarity = cosine_matrix(*aligned_tokens(source, target)) / temperature  # [K, K]
        gold = torch.arange(len(similarity), device=similarity.device)
        both = [F.cross_entropy(one, gold, reduction="sum") for one in (similarity, similarity.T)]
        return 0.5 * (both[0] + both[1]) / max(len(gold), 1)

    return AlignmentLoss(loss, needs=NEEDS, anchor=anchored(anchor))


def aligned_tokens(source: View, target: View) -> tuple[Tensor, Tensor]:
    """Return the target's aligned tokens and what they translate: ``[K, H]`` each."""
    assert target.word_alignment is not None  # AlignmentLoss has looked
    row, a, b = target.word_alignment.unbind(-1)
    return target.states.without_prompt().tokens[row, b], source.states.without_prompt().tokens[row, a]


def anchored(weight: float) -> AlignmentLoss | None:
    """Return the loss of the source language's own texts; None where they are free to move."""
    return AlignmentLoss(partial(distance_from_start, weight=weight), frozenset({"tokens"})) if weight else None


def distance_from_start(source: View, target: View, *, weight: float = 1.0) -> Tensor:
    """Return one minus the cosine of each content token with its own frozen state, mean over them, times ``weight``.

    Args:
        source: Frozen states of texts of the source language.
        target: Those of the same texts in training.
        weight: In front of it.
    """
    frozen, ours = source.states.without_prompt(), target.states.without_prompt()
    keep = content(ours.mask, prefix_tokens=target.prefix_tokens, closing=target.closing)  # [B, T]
    return weight * (1.0 - F.cosine_similarity(ours.tokens[keep], frozen.tokens[keep], dim=-1)).mean()
