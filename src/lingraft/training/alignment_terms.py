"""The alignment losses of a recipe: a teacher view, a trained student view, and what joins them.

The teacher of states is the untouched backbone on the source-language side of a pair. Its states
after the last layer are where the head was fitted, so a target sentence that lands on its
translation's state is understood. The teacher of predictions is the network itself, averaged over
its last steps, for the head moves. Both views are centred and scaled by the frozen states of the
source language at their layer: a loss is then of order one for any backbone, and cosines tell
sentences apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..core.records import Batch, States
from ..model.network import GraftedModel
from ..model.standardiser import Standardiser
from ..recipe.blocks import WeightedBlock
from .alignment import AlignmentLoss, View, alignment


@dataclass(frozen=True)
class Term:
    """One alignment loss of the recipe, at the states after ``layer`` layers."""

    name: str
    weight: float
    layer: int
    loss: AlignmentLoss


class AlignmentTerms:
    """Alignment losses between the network's states of a batch and its teacher's."""

    def __init__(
        self,
        blocks: Sequence[WeightedBlock],
        standardisers: Mapping[int, Standardiser],
        source_language: str = "",
        prefix_tokens: int = 1,
        closing: int = 1,
    ) -> None:
        self.standardisers = standardisers
        self.prefix_tokens, self.closing = prefix_tokens, closing
        self.source_language = source_language
        self.last = max(standardisers)
        self.terms = tuple(
            Term(
                block.name,
                block.weight,
                self.last if block.layer is None else block.layer,
                alignment.build(block.name, block.options),
            )
            for block in blocks
        )

    def needs(self, what: str) -> bool:
        """Return whether some loss needs ``tokens``, ``predictions`` or ``word_alignment``."""
        return any(what in term.loss.needs for term in self.terms)

    @property
    def needs_teacher_forward(self) -> bool:
        """Whether the teacher's own states are needed, beyond the cached pooled ones of the last layer."""
        return any(self._needs_forward(term.loss, term.layer) for term in self.terms)

    def _needs_forward(self, loss: AlignmentLoss, layer: int) -> bool:
        return "tokens" in loss.needs or layer != self.last

    @property
    def pair_passes(self) -> int:
        """How often a step's teacher reads the source side of the pairs in it."""
        return int(self.needs_teacher_forward) + sum("predictions" in term.loss.needs for term in self.terms)

    @property
    def source_passes(self) -> int:
        """How often a step's teacher reads the source-language batch, which is compared with itself."""
        own = ((term.layer, term.loss.of_source) for term in self.terms)
        return int(any(loss is not None and self._needs_forward(loss, layer) for layer, loss in own))

    @property
    def needs_inner_layers(self) -> bool:
        """Whether states before the last layer are compared."""
        return any(term.layer != self.last for term in self.terms)

    def __call__(
        self,
        model: GraftedModel,
        batch: Batch,
        student: Mapping[int, States],
        logits: Tensor,
        predict: Callable[[States], Tensor],
    ) -> list[Tensor | None]:
        """Compute each loss of the recipe for the rows of ``batch`` with a teacher; None where it does not apply.

        Args:
            model: Whose frozen stack computes the states of the teacher.
            batch: What was read.
            student: States after each layer that a loss looks at, of all rows.
            logits: Of all rows, ``[B, C]``.
            predict: The teacher's logits of source-language states at the cut.
        """
        rows = None if bool(batch.has_teacher.all()) else batch.has_teacher.nonzero().squeeze(1)
        # Source regularisation: the source batch is its own translation, so it learns to keep its frozen states.
        losses = [term.loss.of_source if batch.is_source else term.loss for term in self.terms]
        applied = [(loss, term.layer) for loss, term in zip(losses, self.terms, strict=True) if loss is not None]
        beside = _rows(batch.states, rows) if batch.is_source else batch.source
        teacher = {self.last: as_states(batch.teacher if rows is None else batch.teacher[rows], self.last)}
        if beside is not None and any(self._needs_forward(loss, layer) for loss, layer in applied):
            with torch.no_grad():
                states: dict[int, States] = {}
                model.run_layers(beside, batch.language, adapters_enabled=False, visited=states)
            teacher = states
        found: list[Tensor | None] = []
        for term, loss in zip(self.terms, losses, strict=True):
            if loss is None:
                found.append(None)  # it compares words or predictions of a translation, and has no anchor
                continue
            standardiser, state = self.standardisers[term.layer], _rows(student[term.layer], rows)
            source = View(standardiser(teacher[term.layer]), prefix_tokens=self.prefix_tokens, closing=self.closing)
            own = logits if rows is None else logits[rows]
            target = replace(source, states=standardiser(state), logits=own, word_alignment=batch.word_alignment)
            if "predictions" in loss.needs and beside is not None:
                source = replace(source, logits=predict(beside).detach())
            found.append(loss(source, target))
        return found


def _rows(states: States, rows: Tensor | None) -> States:
    return states if rows is None else states.take(rows.tolist())


def as_states(pooled: Tensor, layer: int) -> States:
    """Return pooled vectors ``[B, H]`` as states of one token each, whose pool they are."""
    return States(tokens=pooled.unsqueeze(1), mask=pooled.new_ones(len(pooled), 1), layer=layer)


def fit_standardisers(model: GraftedModel, batches: Sequence[States], layers: Sequence[int]) -> dict[int, Standardiser]:
    """Fit one for each of ``layers``, to pooled frozen source-language states: those of ``batches`` at the cut."""
    pooled: dict[int, list[Tensor]] = {layer: [] for layer in layers}
    with torch.no_grad():
        for states in batches:
            visited: dict[int, States] = {}
            model.run_layers(states, "", adapters_enabled=False, visited=visited)
            for layer in layers:
                pooled[layer].append(visited[layer].pooled())
    return {layer: Standardiser.fit(torch.cat(found)) for layer, found in pooled.items()}
