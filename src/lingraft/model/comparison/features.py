"""Numbers that say how two texts differ, from the frozen states of each by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from ..word_alignment import align_tokens

DEPTHS = (0, 1 / 6, 1 / 3, 1 / 2, 2 / 3)
"""Layers whose states are compared, as shares of the depth; by the last of them tokens are aligned."""

NAMES = (
    "aligned tokens that change places",
    "aligned share of the first text",
    "aligned share of the second text",
    "length of the first text",
    "length of the second text",
    "difference of the lengths",
    *(f"{how} cosine of aligned tokens, depth {depth:.2f}" for how in ("mean", "least") for depth in DEPTHS),
    *(
        f"{how} cosine of tokens that both have once, depth {depth:.2f}"
        for how in ("mean", "least")
        for depth in DEPTHS
    ),
    "tokens that both have once and that change places",
    "share of common tokens",
    "share of common neighbours",
    "longest common piece",
    "number of common pieces",
    "share of the texts in common pieces",
)


@dataclass(frozen=True)
class TextStates:
    """The content of a text: token ids, ``T`` of them, and frozen states after each of ``L`` layers, ``[L, T, H]``."""

    ids: Sequence[int]
    states: Tensor


def compare_texts(first: TextStates, second: TextStates) -> Tensor:
    """Return the features of a pair of texts, ``[F]`` float32, named by :data:`NAMES`.

    Args:
        first: A text.
        second: The other one.
    """
    aligned = align_tokens(first.states[-1], second.states[-1])
    once = _same_tokens(first.ids, second.ids)
    lengths = len(first.ids), len(second.ids)
    found = [
        share_of_inversions(aligned[:, 1]),
        *(len(aligned) / max(1, length) for length in lengths),
        *lengths,
        abs(lengths[0] - lengths[1]),
        *_cosines(first, second, aligned),
        *_cosines(first, second, once),
        share_of_inversions(once[:, 1]),
        *in_common(first.ids, second.ids),
    ]
    return torch.tensor(found, dtype=torch.float32)


def share_of_inversions(order: Tensor) -> float:
    """Return the share of pairs of places ``[K]`` that stand in the wrong order: 0 for none, 1 where all are turned."""
    count = len(order)
    if count < 2:
        return 0.0
    wrong = (order.unsqueeze(1) > order.unsqueeze(0)).triu(1).sum().item()
    return float(2 * wrong / (count * (count - 1)))


def _same_tokens(first: Sequence[int], second: Sequence[int]) -> Tensor:
    """Return the places ``[K, 2]`` of the tokens that both texts have exactly once, by place in the first."""
    counts = Counter(first), Counter(second)
    where = {token: place for place, token in enumerate(second)}
    found = [(i, where[t]) for i, t in enumerate(first) if counts[0][t] == counts[1][t] == 1]
    return torch.tensor(found, dtype=torch.long).reshape(-1, 2)


def _cosines(first: TextStates, second: TextStates, places: Tensor) -> list[float]:
    """Return mean and least cosine of the states at some places, ``[K, 2]``, after each layer; zeros for none."""
    if not len(places):
        return [0.0] * (2 * len(first.states))
    cosines = F.cosine_similarity(first.states[:, places[:, 0]], second.states[:, places[:, 1]], dim=-1)
    return [*cosines.mean(1).tolist(), *cosines.amin(1).tolist()]


def in_common(first: Sequence[int], second: Sequence[int]) -> list[float]:
    """Return what two sequences of tokens have in common, whatever the model makes of them: the last five features.

    Args:
        first: Token ids of a text.
        second: Those of the other one.
    """
    pieces = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    sizes = [piece.size for piece in pieces if piece.size]
    return [
        _jaccard(set(first), set(second)),
        _jaccard(set(pairwise(first)), set(pairwise(second))),
        max(sizes, default=0) / max(1, len(first)),
        len(sizes),
        2 * sum(sizes) / max(1, len(first) + len(second)),
    ]


def _jaccard(first: set[object], second: set[object]) -> float:
    return len(first & second) / max(1, len(first | second))
