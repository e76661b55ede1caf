"""The knowledge-transfer module: a frozen teacher view, a trained student view, and what joins them.

The teacher is the untouched backbone on the source-language side of a pair. Its states after the
last layer are where the head was fitted, so a target sentence that lands on its translation's
state is understood. Both views are centred and scaled by the teacher's own mean and spread: the
loss is then of order one for any backbone, and cosines tell sentences apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .alignment import AlignmentLoss, alignment
from .config import WeightedBlock
from .records import States


@dataclass(frozen=True)
class Frame:
    """Origin ``[H]`` and unit of the space in which two views are compared."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, teacher: Tensor) -> Frame:
        """The frame of pooled frozen source-language states ``[N, H]``."""
        mean = teacher.mean(0)
        return cls(mean=mean, scale=(teacher - mean).pow(2).mean().sqrt().clamp(min=1e-6))

    def to(self, device: torch.device) -> Frame:
        """The same frame on ``device``."""
        return Frame(self.mean.to(device), self.scale.to(device))

    def __call__(self, states: States) -> States:
        """States centred and scaled."""
        return replace(states, tokens=(states.tokens - self.mean) / self.scale)


class Transfer:
    """Weighted sum of alignment losses between student states and pooled teacher states."""

    def __init__(self, blocks: Sequence[WeightedBlock], frame: Frame) -> None:
        self.frame = frame
        self.losses: list[tuple[float, AlignmentLoss]] = [
            (block.weight, alignment.build(block.name, block.options)) for block in blocks
        ]

    def __call__(self, student: States, teacher: Tensor) -> Tensor:
        """Loss of ``student`` states against ``teacher [B, H]``; a scalar."""
        source, target = self.frame(as_states(teacher, student.layer)), self.frame(student)
        total = teacher.new_zeros(())
        for weight, loss in self.losses:
            total = total + weight * loss(source, target)
        return total


def as_states(pooled: Tensor, layer: int) -> States:
    """Pooled vectors ``[B, H]`` as states of one token each, whose pool they are."""
    return States(tokens=pooled.unsqueeze(1), mask=pooled.new_ones(len(pooled), 1), layer=layer)
