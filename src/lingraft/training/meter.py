"""What is measured in an epoch: losses, tokens, time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..core.records import Batch
from .losses import Losses

LOSSES = ("loss", "task_loss", "alignment_loss", "consistency_loss")


@dataclass
class Meter:
    """Running sums of an epoch, which its record is made of; plain data, so that a killed epoch goes on with it."""

    loss: float = 0.0
    task_loss: float = 0.0
    alignment_loss: float = 0.0
    consistency_loss: float = 0.0
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    languages: list[str] = field(default_factory=list)
    first: list[float] | None = None
    """Task loss and alignment loss of the first step."""
    learning_rate: float = 0.0
    said: int = 0
    """How many warnings there were before the epoch."""

    def add(self, loss: Tensor, losses: Losses, batches: Sequence[Batch], seconds: float) -> float:
        """Take in a step; returns its loss.

        Args:
            loss: Of the step.
            losses: What it was made of.
            batches: That were read.
            seconds: That it took.
        """
        last, task = loss.item(), losses.task.item()
        consistency = 0.0 if losses.consistency is None else losses.consistency.item()
        aligned = last - task - consistency if any(loss is not None for loss in losses.alignment) else 0.0
        self.first = self.first or [task, aligned]
        self.loss, self.task_loss, self.steps = self.loss + last, self.task_loss + task, self.steps + 1
        self.alignment_loss += aligned
        self.consistency_loss += consistency
        self.languages = sorted({*self.languages, *(batch.language for batch in batches)})
        self.tokens += sum(int(batch.states.mask.sum()) for batch in batches)
        self.seconds += seconds
        return last

    @property
    def tokens_per_second(self) -> float:
        """Real tokens of the epoch's steps so far, by the time that they took."""
        return self.tokens / max(1e-9, self.seconds)

    def means(self) -> dict[str, float]:
        """Return losses, mean over the epoch's steps, and speed."""
        steps = max(1, self.steps)
        means = {name: getattr(self, name) / steps for name in LOSSES}
        return means | {"tokens_per_second": self.tokens_per_second}

    def state(self) -> dict[str, Any]:
        """Return all of it, as plain data."""
        return dict(vars(self))
