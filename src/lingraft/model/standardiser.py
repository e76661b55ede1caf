"""Origin and unit of the space in which states are compared: the frozen states of the source language."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..core.records import States


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
