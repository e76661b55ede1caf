"""The losses of one step: the task's, and each of the alignment's, added up by the one who balances them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from ..core.records import Batch, States
from ..model.network import Network
from .alignment_terms import Transfer

TaskLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Logits ``[B, C]`` (or ``[B, T, C]``), targets ``[B, ...]`` and mask ``[B, T]`` to a scalar."""


class PredictionTeacher(Protocol):
    """Whoever predicts for the source-language side of a pair."""

    def predict(self, states: States, language: str) -> Tensor:
        """Logits ``[B, C]`` of states at the cut."""
        ...


@dataclass(frozen=True)
class Losses:
    """The task loss of a step and its alignment losses, in the recipe's order; None for one that did not apply."""

    task: Tensor
    alignment: tuple[Tensor | None, ...]

    def total(self, weights: Sequence[float]) -> Tensor:
        """Everything added up, each alignment loss times its weight."""
        total = self.task
        for weight, loss in zip(weights, self.alignment, strict=True):
            if loss is not None:
                total = total + weight * loss
        return total


def losses_of(
    model: Network,
    batches: Sequence[Batch],
    task_loss: TaskLoss,
    transfer: Transfer | None,
    keep_weight: float,
    shot_weight: float = 1.0,
    teacher: PredictionTeacher | None = None,
) -> Losses:
    """Task loss, a labelled target example counting ``shot_weight``, and alignment losses where there is a teacher.

    The source language's batch is held to its own frozen states with ``keep_weight``, so that the
    space in which the target is aligned stays where it is.
    """
    network: Any = model  # alignment is a GraftedModel's alone
    task_terms, counts = [], []
    alignment: list[list[Tensor]] = [[] for _ in transfer.terms] if transfer else []
    for batch in batches:
        visited: dict[int, States] | None = {} if transfer and transfer.visits else None
        final, logits = (
            model(batch.states, batch.language, visited) if visited is not None else model(batch.states, batch.language)
        )
        labelled = batch.labelled
        if labelled.any():
            task_terms.append(task_loss(logits, batch.targets, batch.states.mask))
            counts.append(int(labelled.sum()) * (1.0 if batch.is_source else shot_weight))
        weight = keep_weight if batch.is_source else 1.0
        if transfer is None or not weight or not batch.taught.any():
            continue
        predict: Any = partial(teacher.predict, language=transfer.source_language) if teacher else None
        student = visited if visited is not None else {transfer.last: final}
        for terms, loss in zip(alignment, transfer(network, batch, student, logits, predict), strict=True):
            if loss is not None:
                terms.append(weight * loss)
    zero = batches[0].teacher.new_zeros(())
    shares = [count / sum(counts) for count in counts]
    task = torch.stack([share * term for share, term in zip(shares, task_terms, strict=True)]).sum() if counts else zero
    return Losses(task, tuple(torch.stack(terms).sum() if terms else None for terms in alignment))
