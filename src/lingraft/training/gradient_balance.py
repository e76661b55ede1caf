"""How task and alignment pull on the same parameters: measured, and balanced if wanted.

Every so many steps the gradients of the task loss and of each alignment loss are computed apart, over
the parameters that both touch. Their cosine says whether they help each other or fight; the ratio of
their norms is what a balanced weight is made of (in the spirit of GradNorm, Chen et al., 2018): each
alignment loss then counts so much that its gradient is a given share of the task's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .alignment_terms import AlignmentTerms
from .losses import Losses

EVERY = 20
"""Steps between two measurements, each of which costs a backward pass per loss."""

LARGEST = 1e4
"""A balanced weight stays within this factor of the recipe's: a loss that is nearly solved has hardly a gradient."""

MEMORY = 0.7
"""Share that an older measurement keeps in the running mean."""


class Balance:
    """The factors in front of the alignment losses, and the measurements behind them.

    Args:
        alignment: The alignment losses; None where there are none.
        share: Norm of each alignment gradient as a share of the task's, times the loss's own weight;
            None keeps the recipe's weights as they are.
        state: What :meth:`state` gave, to continue.
        meet: Whether steps have both; languages that are learnt one after the other have nothing to compare.
    """

    def __init__(
        self,
        alignment: AlignmentTerms | None,
        share: float | None,
        state: Mapping[str, list[float]],
        *,
        meet: bool = True,
    ) -> None:
        self.fixed = [term.weight for term in alignment.terms] if alignment else []
        self.share, self.meet = share, meet
        self.weights = list(state.get("weights", self.fixed))
        self.norms = list(state.get("norms", ()))  # of the task, then of the loss, for each loss in turn
        self.cosines = list(state.get("cosines", ()))
        self.ratios = list(state.get("ratios", ()))

    def look(self, losses: Losses, trained: Mapping[str, Tensor], step: int) -> None:
        """Measure at every so many steps; changes the weights where they are balanced."""
        if not (self.fixed and self.meet) or step % EVERY or not losses.task.requires_grad:
            return
        shared = [p for name, p in trained.items() if p.requires_grad and not name.startswith("head.")]
        if not shared:
            return
        task = _gradient(losses.task, shared)
        each = [
            _gradient(loss, shared) if loss is not None and loss.requires_grad else None for loss in losses.alignment
        ]
        total: list[Tensor | None] = [None] * len(shared)
        for weight, gradient in zip(self.weights, each, strict=True):
            for i, part in enumerate(gradient or ()):
                if part is not None:
                    known = total[i]
                    total[i] = weight * part if known is None else known + weight * part
        dot, task_norm, norm = _compared(task, total)
        if task_norm > 0 and norm > 0:
            self.cosines.append(dot / (task_norm * norm))
            self.ratios.append(norm / task_norm)
        if self.share is not None:
            self._weigh([_compared(task, gradient) for gradient in each if gradient is not None])

    def _weigh(self, measured: Sequence[tuple[float, float, float]]) -> None:
        """Make new weights from running means of the norms."""
        if len(measured) < len(self.fixed):
            return
        assert self.share is not None
        now = [norm for _, *norms in measured for norm in norms]
        old = self.norms or now
        self.norms = [MEMORY * before + (1 - MEMORY) * norm for before, norm in zip(old, now, strict=True)]
        for i, fixed in enumerate(self.fixed):
            task, norm = self.norms[2 * i : 2 * i + 2]
            if task > 0 and norm > 0:
                self.weights[i] = fixed * min(LARGEST, max(1 / LARGEST, self.share * task / norm))

    def row(self) -> dict[str, Any]:
        """Return what an epoch's record says of it; the measurements start anew."""
        row = {
            "gradient_cosine": sum(self.cosines) / len(self.cosines) if self.cosines else None,
            "gradient_ratio": sum(self.ratios) / len(self.ratios) if self.ratios else None,
            "weights": [round(weight, 6) for weight in self.weights],
        }
        self.cosines, self.ratios = [], []
        return row

    def state(self) -> dict[str, list[float]]:
        """Return all that a resumed training needs."""
        return {"weights": self.weights, "norms": self.norms, "cosines": self.cosines, "ratios": self.ratios}


def _gradient(loss: Tensor, parameters: Sequence[Tensor]) -> Sequence[Tensor | None]:
    if not loss.requires_grad:
        return [None] * len(parameters)
    return torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True)


def _compared(task: Sequence[Tensor | None], other: Sequence[Tensor | None]) -> tuple[float, float, float]:
    """Return the dot product and both norms over the parameters that both losses touch."""
    both = [(a, b) for a, b in zip(task, other, strict=True) if a is not None and b is not None]
    if not both:
        return 0.0, 0.0, 0.0
    dot = sum(float((a * b).sum()) for a, b in both)
    norms = [sum(float(side.pow(2).sum()) for side in sides) ** 0.5 for sides in zip(*both, strict=True)]
    return dot, norms[0], norms[1]
