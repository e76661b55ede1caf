"""Centre and scale states by the frozen states of the source language, so that losses are alike for any backbone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..core.records import States


@dataclass(frozen=True)
class Standardiser:
    """Mean ``[H]`` and scale (a scalar) of the states that it was fitted to; it makes others of them by these two."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, teacher: Tensor) -> Standardiser:
        """Fit to pooled frozen source-language states ``[N, H]``; the scale is one for all dimensions."""
        mean = teacher.mean(0)
        return cls(mean=mean, scale=(teacher - mean).pow(2).mean().sqrt().clamp(min=1e-6))

    def to(self, device: torch.device) -> Standardiser:
        """Move both to ``device``."""
        return Standardiser(self.mean.to(device), self.scale.to(device))

    def __call__(self, states: States) -> States:
        """Centre and scale states."""
        return replace(states, tokens=(states.tokens - self.mean) / self.scale)
