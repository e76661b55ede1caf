"""Consistency: a code-switched copy of an example must get the distribution of answers that the original gets.

After xTune (Zheng et al., 2021), whose first regulariser it is: the symmetric Kullback-Leibler divergence of two
predictions, in each direction with the teacher's side out of the gradient's reach. Both sides are the network's own,
so nothing needs a label or a teacher. Where a kind of task predicts for tokens, what corresponds is known from the
switch: the tag of a word is compared with that of what replaced it, where an answer begins with where it begins in
the copy, however many tokens either side has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..core.records import Matching

SoftmaxOver = Literal["outputs", "positions"]
"""What one distribution of answers is over, see :attr:`lingraft.tasks.kinds.Kind.softmax_over`."""


@dataclass(frozen=True)
class Consistency:
    """The loss of a batch of copies against the source batch that has the originals.

    Args:
        softmax_over: What one distribution of answers is over.
        weight: Factor in front.
        temperature: What logits are divided by.
    """

    softmax_over: SoftmaxOver
    weight: float = 1.0
    temperature: float = 1.0

    def __call__(self, originals: Tensor, copies: Tensor, matching: Matching) -> Tensor:
        """Return the weighted mean of the divergence over all distributions; its gradient reaches both sides.

        Args:
            originals: Logits of the source batch, ``[R, C]`` or ``[R, T, C]``.
            copies: Logits of the copies, ``[R', C]`` or ``[R', T', C]``.
            matching: What corresponds.
        """
        if not len(matching.example):
            return (originals.sum() + copies.sum()) * 0.0
        ours = self._log_probabilities(originals, matching.originals, matching.example)
        theirs = self._log_probabilities(copies, matching.copies, matching.example)
        both = one_way(ours.detach(), theirs) + one_way(theirs.detach(), ours)
        # Softening divides the gradient by the square of the temperature; this gives it back.
        scale = self.weight * self.temperature**2
        if self.softmax_over == "outputs":
            return scale * both.sum() / len(both)
        return scale * both.sum() / (both.shape[1] * (matching.example.max() + 1))

    def _log_probabilities(self, logits: Tensor, cells: Tensor, example: Tensor) -> Tensor:
        """Return log-probabilities ``[U, C]`` of ``U`` cells, over outputs or over an example's cells."""
        per_position = (logits if logits.dim() == 3 else logits.unsqueeze(1)).float() / self.temperature
        per_position = per_position[:, : cells.shape[1]]
        known = cells >= 0
        scores = grouped_logsumexp(per_position[known], cells[known], len(example))
        if self.softmax_over == "outputs":
            return scores.log_softmax(-1)
        totals = grouped_logsumexp(scores, example, int(example.max()) + 1)
        return scores - totals[example]


def one_way(teacher: Tensor, student: Tensor) -> Tensor:
    """Return what each outcome adds to the divergence of ``student`` from ``teacher``, log-probabilities both."""
    return teacher.exp() * (teacher - student)


def grouped_logsumexp(scores: Tensor, group: Tensor, count: int) -> Tensor:
    """Add up probabilities, given as logarithms, of each group: ``[K, C]``, ``[K]`` to ``[count, C]``.

    Args:
        scores: ``[K, C]``.
        group: Which group each row is of, ``[K]``; every group has one at least.
        count: How many groups there are.
    """
    index = group.unsqueeze(1).expand_as(scores)
    top = scores.new_full((count, scores.shape[1]), -torch.inf).scatter_reduce(0, index, scores.detach(), "amax")
    return torch.zeros_like(top).index_add(0, group, (scores - top[group]).exp()).log() + top
