"""What anyone gets without adapting the model: a head on frozen states.

Every run reports it as "before", and training starts from it, which spares the first epochs (Kumar et
al., 2022). For classification it is a logistic regression on pooled states, for numbers a ridge regression; where
each token, or each alternative, is scored, the head alone is trained by gradient, as long as the parts would be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..backbones.encoding import Encoded
from ..core.examples import Example
from ..model.adaptation import Adaptation
from ..model.heads import build_head
from ..model.heads.linear import LinearHead
from ..model.network import GraftedModel
from ..model.prediction import predict_rows
from ..recipe.settings import TrainSettings
from ..tasks.kinds import Kind
from .batches import Order, Pool, only_labelled
from .loop import Hooks, Validation, train
from .losses import Objective

Answer = Callable[[Encoded, Sequence[Example], str], list[Tensor]]
"""Logits of all rows of some examples in a language, in their order."""

HEAD_FACTOR = 10.0
"""A head alone learns at so many times the rate of the parts: nothing beneath it moves."""


@dataclass(frozen=True)
class Before:
    """A head on frozen states: what training starts from, and what its result is compared with."""

    write_to: Callable[[nn.Module], None]
    logits: Callable[[Encoded, Sequence[str], str], list[Tensor]]
    """Of all rows of some examples in a language, in their order."""
    strength: float | None
    """Scikit-learn's ``C``, where the head is a logistic regression."""
    dev_score: float

    def answer(self, encoded: Encoded, examples: Sequence[Example], language: str) -> list[Tensor]:
        """Return the logits of all rows of examples."""
        return self.logits(encoded, [example.id for example in examples], language)


def from_fitted_head(head: LinearHead) -> Before:
    """Wrap a head in closed form, whose logits come from cached pooled states."""
    return Before(
        write_to=head.write_to,
        logits=lambda encoded, ids, language: list(head.logits(encoded.pooled(ids))),
        strength=head.strength,
        dev_score=head.dev_score,
    )


def train_frozen_head(
    kind: Kind,
    stack: Any,
    order: Order,
    *,
    seed: int,
    validate: Callable[[Any], Validation],
    finish: Callable[[Any], None] = lambda model: None,
    advance: Callable[[Any], None] = lambda progress: None,
) -> Before:
    """Train a head on the labels of all languages, nothing else being there to train.

    Args:
        kind: What the head must give.
        stack: The frozen layers.
        order: Labelled examples of all languages (see :func:`keep_labelled`), with the settings of the parts'
            training.
        seed: Where the new head's parameters start.
        validate: Development score of a network.
        finish: Called with the network when its head is trained.
        advance: Called after each step.
    """
    torch.manual_seed(seed)
    head = build_head(kind, stack)
    model = GraftedModel(stack, Adaptation(None, None, head)).to(order.device)
    ones = torch.ones(max(1, len(kind.labels)), device=order.device)
    rate = {"learning_rate": HEAD_FACTOR * order.settings.learning_rate}
    train(
        model,
        replace(order, settings=order.settings.model_copy(update=rate)),
        Objective(lambda logits, labels, mask, rows: kind.loss(logits, labels, mask, ones, rows)),
        hooks=Hooks(advance=advance),
    )
    finish(model)

    def write_to(other: nn.Module) -> None:
        other.load_state_dict(head.state_dict())

    def logits(encoded: Encoded, ids: Sequence[str], language: str) -> list[Tensor]:
        return predict_rows(model, encoded, ids, language)[0]

    return Before(write_to=write_to, logits=logits, strength=None, dev_score=validate(model).score)


def as_it_is(kind: Kind, stack: Any, validate: Callable[[Any], Validation]) -> Before:
    """Return what the frozen model answers by a head in which nothing is trained."""
    model = GraftedModel(stack, Adaptation(None, None, build_head(kind, stack)))
    return Before(
        write_to=lambda head: None,
        logits=lambda encoded, ids, language: predict_rows(model, encoded, ids, language)[0],
        strength=None,
        dev_score=validate(model).score,
    )


def head_settings(settings: TrainSettings) -> TrainSettings:
    """Return the settings of a frozen head's own training, which may have epochs of its own."""
    if settings.head_epochs is None:
        return settings
    return settings.model_copy(update={"num_train_epochs": settings.head_epochs})


def is_trained(kind: Kind, settings: TrainSettings) -> bool:
    """Return whether a frozen head is trained by gradient: where none can be fitted, and training starts from it."""
    return kind.head_learns and not kind.fitted and is_start(settings)


def is_start(settings: TrainSettings) -> bool:
    """Return whether training starts from the frozen head."""
    return settings.warm_start and settings.continue_from is None


def keep_labelled(pools: Sequence[Pool]) -> tuple[Pool, ...]:
    """Keep of each pool the texts that have a label, once each, without teachers; leave out pools with nothing left."""
    return tuple(replace(pool, ids=known, teacher={}, repeats=0) for pool, known in only_labelled(pools))
