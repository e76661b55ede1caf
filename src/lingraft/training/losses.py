"""The losses of one step: the task's, and each of the alignment's, added up by the one who balances them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from ..core.records import Batch, States
from ..model.network import GraftedModel, Network
from .alignment_terms import AlignmentTerms
from .consistency import Consistency

TaskLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Logits ``[B, C]`` (or ``[B, T, C]``), targets ``[B, ...]``, mask ``[B, T]``, weights of rows ``[B]`` to a scalar."""


class PredictionTeacher(Protocol):
    """Whoever predicts for the source-language side of a pair."""

    def predict(self, states: States, language: str) -> Tensor:
        """Return logits ``[B, C]`` of states at the cut."""
        ...


@dataclass(frozen=True)
class Losses:
    """The task loss of a step and its alignment losses, in the recipe's order; None for one that did not apply.

    ``consistency`` is that of source examples with their copies, None without copies.
    """

    task: Tensor
    alignment: tuple[Tensor | None, ...]
    consistency: Tensor | None = None

    def total(self, weights: Sequence[float]) -> Tensor:
        """Add everything up, each alignment loss times its weight."""
        total = self.task if self.consistency is None else self.task + self.consistency
        for weight, loss in zip(weights, self.alignment, strict=True):
            if loss is not None:
                total = total + weight * loss
        return total


@dataclass(frozen=True)
class Objective:
    """What a training lowers.

    Args:
        task_loss: Of logits against targets.
        alignment: Alignment losses; None without parallel text.
        source_weight: Source regularisation: the source language's batch is compared with its own frozen states
            with this share of the alignment losses (self-distillation), so that the space in which the target
            is aligned stays where it is.
        consistency: Of the source examples of a step with their copies; None without copies.
    """

    task_loss: TaskLoss
    alignment: AlignmentTerms | None = None
    source_weight: float = 1.0
    consistency: Consistency | None = None

    def losses(self, model: Network, batches: Sequence[Batch], teacher: PredictionTeacher | None = None) -> Losses:
        """Compute the losses of one step's batches.

        Args:
            model: What is trained.
            batches: Of one or two languages.
            teacher: Who predicts for the source side, where a loss compares predictions.
        """
        alignment, network = self.alignment, cast(GraftedModel, model)  # alignment is a GraftedModel's alone
        task_terms, counts = [], []
        aligned: list[list[Tensor]] = [[] for _ in alignment.terms] if alignment else []
        originals = consistent = None
        for batch in batches:
            visited: dict[int, States] | None = {} if alignment and alignment.needs_inner_layers else None
            given = (batch.states, batch.language)
            final, logits = model(*given) if visited is None else model(*given, visited)
            originals = logits if batch.is_source else originals
            if self.consistency and batch.matching is not None and originals is not None:
                consistent = self.consistency(originals, logits, batch.matching)
            labelled = batch.labelled
            if labelled.any():
                rows = batch.row_weights
                task_terms.append(self.task_loss(logits, batch.targets, batch.states.mask, rows))
                counts.append(float(rows[labelled].sum()))
            if alignment is None or not self._aligns(batch):
                continue
            weight = self._weight(batch)
            predict: Any = partial(teacher.predict, language=alignment.source_language) if teacher else None
            student = visited if visited is not None else {alignment.last: final}
            for found, loss in zip(aligned, alignment(network, batch, student, logits, predict), strict=True):
                if loss is not None:
                    found.append(weight * loss)
        task = batches[0].teacher.new_zeros(())
        if counts:
            shares = [count / sum(counts) for count in counts]
            task = torch.stack([share * term for share, term in zip(shares, task_terms, strict=True)]).sum()
        return Losses(task, tuple(torch.stack(found).sum() if found else None for found in aligned), consistent)

    def learns_from(self, batch: Batch) -> bool:
        """Return whether some loss looks at a batch; pairs without labels are for alignment alone."""
        compared = self.consistency is not None and (batch.is_source or batch.matching is not None)
        return compared or self._aligns(batch) or bool(batch.labelled.any())

    def _aligns(self, batch: Batch) -> bool:
        return self.alignment is not None and self._weight(batch) > 0 and bool(batch.has_teacher.any())

    def _weight(self, batch: Batch) -> float:
        return self.source_weight if batch.is_source else 1.0
