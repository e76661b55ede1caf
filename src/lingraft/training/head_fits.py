"""Heads that are fitted rather than trained: the frozen head, and the last layer after training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..core.progress import Reporter
from ..core.records import Trial
from ..model.heads.linear import Labelled, LinearHead, fit_head
from ..model.network import Network
from ..model.prediction import predict_rows
from ..model.standardiser import Standardiser
from ..recipe.settings import TrainSettings
from ..tasks.kinds import Kind
from ..tasks.kinds.classification import class_weights
from ..tasks.material import Materials
from .batches import Order, Pool
from .evaluation import validation
from .frozen_head import Before, from_logistic_head, head_settings, is_trained, keep_labelled, train_frozen_head
from .pools import Context


def fit_frozen_head(
    source: Pool,
    targets: Sequence[Pool],
    standardiser: Standardiser,
    trial: Trial,
    context: Context,
    reporter: Reporter,
) -> Before | None:
    """Fit the head on frozen states; where one must be trained for it, only if training is to start from it.

    Args:
        source: Pool of the source language.
        targets: Pools of the target languages.
        standardiser: Of the frozen states of the source language.
        trial: Shots, draw and seed.
        context: What all trials share.
        reporter: What reports how it goes.
    """
    task, recipe = context.materials.task, context.recipe
    if task.kind.class_logits:
        return from_logistic_head(logistic_head(source, targets, standardiser, context))
    if not is_trained(task.kind, recipe.train):
        return None
    order = Order(source, keep_labelled(targets), head_settings(recipe.train), trial.seed, context.device)
    with reporter.task(f"frozen head {trial.name}", order.steps) as advance:
        return train_frozen_head(
            task.kind,
            context.backbone.stack,
            order,
            validate=partial(validation, context=context),
            finish=partial(choose_threshold, context=context),
            advance=lambda p: advance(1, f"loss {p.loss:.3f}"),
        )


def logistic_head(
    source: Pool, targets: Sequence[Pool], standardiser: Standardiser, context: Context, shot_weight: float = 1.0
) -> LinearHead:
    """Fit logistic regression to frozen states, from all labels of the draw.

    Args:
        source: Pool of the source language.
        targets: Pools of the target languages.
        standardiser: Of the frozen states of the source language.
        context: What all trials share.
        shot_weight: How much a labelled target example counts, where a source example counts 1.
    """
    materials, pools = context.materials, context.pools
    labelled = [(pool, pool.targets) for pool in (source, *targets) if pool.labelled]
    dev = pools[materials.task.source_language, "dev"]
    return fit_head(
        Labelled(torch.cat([pool.encoded.pooled(list(known)) for pool, known in labelled]), _classes(labelled)),
        Labelled(dev.pooled([example.id for example in materials.dev]), _dev_targets(materials)),
        standardiser=standardiser,
        classes=len(materials.task.labels),
        balanced=False,
        weights=[1.0 if pool is source else shot_weight for pool, known in labelled for _ in known],
        calibrated=True,
    )


def _classes(labelled: Sequence[tuple[Pool, Mapping[str, Any]]]) -> list[int]:
    return [int(target) for _, known in labelled for target in known.values()]


def weights_of_classes(source: Pool, targets: Sequence[Pool], context: Context) -> Tensor:
    """Return weights of classes; words and spans are not weighed, for most are in one class."""
    kind = context.materials.task.kind
    if not kind.one_class_each:
        return torch.ones(max(1, len(kind.labels)))
    known = _classes([(pool, pool.targets) for pool in (source, *targets)])
    return class_weights(known, len(kind.labels), balanced=context.recipe.train.class_balanced)


def retrain_last_layer(
    model: Network, source: Pool, targets: Sequence[Pool], standardiser: Standardiser, context: Context
) -> None:
    """Fit the head to the adapted states of all labels of the draw (last-layer retraining).

    Args:
        model: After training; its head is written to.
        source: Pool of the source language.
        targets: Pools of the target languages.
        standardiser: Of the frozen states of the source language.
        context: What all trials share.
    """
    materials, pools, recipe = context.materials, context.pools, context.recipe
    strength = recipe.train.last_layer_strength
    if not is_last_layer_retrained(materials.task.kind, recipe.train) or strength is None:
        return
    labelled = [(pool, pool.targets) for pool in (source, *targets) if pool.labelled]
    states = [predict_rows(model, pool.encoded, list(known), pool.language)[1] for pool, known in labelled]
    language = materials.task.source_language
    dev_ids = [example.id for example in materials.dev]
    dev = predict_rows(model, pools[language, "dev"], dev_ids, language)[1]
    head = fit_head(
        Labelled(torch.cat(states), _classes(labelled)),
        Labelled(dev, _dev_targets(materials)),
        standardiser=standardiser,
        classes=len(materials.task.labels),
        balanced=recipe.train.class_balanced,
        strengths=(strength,),
        weights=[1.0 if pool is source else recipe.train.shot_weight for pool, known in labelled for _ in known],
        calibrated=True,
    )
    head.write_to(model.adaptation.head)


def choose_threshold(model: Network, context: Context) -> None:
    """Choose the threshold of a head that has one, on the source language's development set.

    Args:
        model: After training; its head's threshold is written.
        context: What all trials share.
    """
    materials, head = context.materials, model.adaptation.head
    task, examples = materials.task, materials.dev
    if task.kind.choose_threshold is None:
        return
    threshold: Tensor = head.threshold
    threshold.zero_()
    encoded, language = context.pools[task.source_language, "dev"], task.source_language
    logits, _ = predict_rows(model, encoded, [example.id for example in examples], language)
    features = [encoded.features[row] for example in examples for row in encoded.rows[example.id]]
    threshold.fill_(task.kind.choose_threshold(examples, features, logits))


def is_last_layer_retrained(kind: Kind, settings: TrainSettings) -> bool:
    """Return whether the last layer is retrained: where its outputs are logits of classes."""
    return kind.class_logits and settings.last_layer_strength is not None


def _dev_targets(materials: Materials) -> list[int]:
    index = {label: i for i, label in enumerate(materials.task.labels)}
    return [index[str(example.gold)] for example in materials.dev]
