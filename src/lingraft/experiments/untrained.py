"""Methods without training: the frozen head and prototypes, on frozen states."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..core.examples import Example
from ..core.records import Prediction, Trial
from ..model.prediction import predictions_of
from ..model.standardiser import Standardiser
from ..training.head_fits import closed_form_head
from ..training.pools import Context, draw_of, learning_pools
from .baselines.prototype import prototype_logits
from .methods import Method
from .scoring import score_trial


def run_untrained(trial: Trial, folder: Path, context: Context, method: Method) -> None:
    """Fit the frozen head or prototypes, predict, and score; files as after a training.

    Args:
        trial: Shots, draw and seed.
        folder: Of the method.
        context: What all trials share.
        method: ``frozen-head`` or ``prototype``.
    """
    started = time.monotonic()
    logits, trained = _fit(trial, context, method)
    seconds = time.monotonic() - started

    def answer(language: str, purpose: str, examples: Sequence[Example]) -> list[Prediction]:
        encoded = context.pools[language, purpose]
        found = logits(encoded.pooled([example.id for example in examples]))
        return predictions_of(list(found), examples, encoded, context.materials.task)

    score_trial(trial, folder, context, method.name, answer, {"seconds": seconds, "trained": trained})


def _fit(trial: Trial, context: Context, method: Method) -> tuple[Callable[[Tensor], Tensor], int]:
    """Return what makes logits ``[N, C]`` of pooled frozen states ``[N, H]``, and how many parameters it has."""
    source, targets = learning_pools(draw_of(trial, context), context)
    standardiser = Standardiser.fit(torch.stack(list(source.teacher.values())))
    if method.network == "frozen-head":
        head = closed_form_head(source, targets, standardiser, context, context.recipe.train.shot_weight)
        return head.logits, head.weight.numel() + head.bias.numel()
    learnt = [(pool, pool.targets) for pool in (source, *targets) if pool.labelled]
    labelled = torch.cat([pool.encoded.pooled(list(known)) for pool, known in learnt])
    classes = torch.tensor([int(str(target)) for _, known in learnt for target in known.values()])
    of_classes = {"classes": len(context.materials.task.labels), "centre": standardiser.mean, **method.options}
    return lambda pooled: prototype_logits(labelled, classes, pooled, **of_classes), 0
