"""What anyone gets without adapting the model: a head on frozen states.

Every run reports it as "before", and training starts from it, which spares the first epochs (Kumar et
al., 2022). For classification it is a logistic regression on pooled states; where each token, or each
alternative, is scored, the head alone is trained by gradient, as long as the parts would be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .batches import Order, Pool
from .config import TrainSettings
from .encode import Encoded
from .evaluate import predict_rows
from .linear_head import LinearHead
from .model import Adaptation, GraftedModel
from .tasks.kinds import Kind
from .train import Validation, train


@dataclass(frozen=True)
class Before:
    """A head on frozen states: what training starts from, and what its result is compared with."""

    write_to: Callable[[nn.Linear], None]
    logits: Callable[[Encoded, Sequence[str], str], list[Tensor]]
    """Of all rows of some examples in a language, in their order."""
    strength: float | None
    """Scikit-learn's ``C``, where the head is a logistic regression."""
    dev_score: float


def fitted(head: LinearHead) -> Before:
    """A logistic regression, whose logits come from cached pooled states."""
    return Before(
        write_to=head.write_to,
        logits=lambda encoded, ids, language: list(head.logits(encoded.pooled(ids))),
        strength=head.strength,
        dev_score=head.dev_score,
    )


def trained(
    kind: Kind,
    stack: Any,
    source: Pool,
    targets: Sequence[Pool],
    settings: TrainSettings,
    *,
    seed: int,
    device: torch.device,
    validate: Callable[[Any], Validation],
    advance: Callable[[Any], None] = lambda progress: None,
) -> Before:
    """A head that was trained on the labels of all languages, nothing else being there to train.

    Args:
        kind: What the head must give.
        stack: The frozen layers.
        source: Labelled examples of the source language.
        targets: Those of the others; texts without labels are left out.
        settings: As for the training of the parts.
        seed: Of head and data order.
        device: Where to train.
        validate: Development score of a network.
        advance: Called after each step.
    """
    torch.manual_seed(seed)
    head = nn.Linear(stack.width, kind.outputs)
    model = GraftedModel(stack, Adaptation(None, None, head, per_token=kind.per_token)).to(device)
    shots = tuple(_labelled(pool) for pool in targets if pool.labelled)
    order = Order(source, shots, settings, seed, device)
    ones = torch.ones(max(1, len(kind.labels)), device=device)
    train(
        model,
        order.epoch,
        task_loss=lambda logits, labels, mask: kind.loss(logits, labels, mask, ones),
        transfer=None,
        settings=settings,
        seed=seed,
        num_epochs=order.epochs,
        advance=advance,
    )

    def write_to(other: nn.Linear) -> None:
        other.load_state_dict(head.state_dict())

    def logits(encoded: Encoded, ids: Sequence[str], language: str) -> list[Tensor]:
        return predict_rows(model, encoded, ids, language)[0]

    return Before(write_to=write_to, logits=logits, strength=None, dev_score=validate(model).score)


def _labelled(pool: Pool) -> Pool:
    return Pool(
        pool.language,
        pool.encoded,
        passed=tuple(i for i in pool.passed if i in pool.labelled),
        labelled=pool.labelled,
        teacher={},
        collate=pool.collate,
    )
