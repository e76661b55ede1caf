"""What is fitted rather than trained: the frozen head, the last layer after training, the n-grams of each language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..core.progress import Reporter
from ..core.records import Example, Trial
from ..data.text import normalise
from ..model.adaptation import Adaptation
from ..model.heads.linear import Labelled, LinearHead, fit_head
from ..model.heads.ngrams import FEWEST_TEXTS, NgramClassifier, fit_ngram_classifier
from ..model.network import Network
from ..model.prediction import predict_rows
from ..model.standardiser import Standardiser
from ..recipe.settings import TrainSettings
from ..tasks.kinds import Kind
from ..tasks.kinds.classification import class_weights
from ..tasks.material import Draw, Materials, Pair, is_own
from .batches import Order, Pool
from .evaluation import validation
from .frozen_head import Before, from_logistic_head, is_trained, keep_labelled, train_frozen_head
from .pools import Context, pairs_to_learn


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
    order = Order(source, keep_labelled(targets), recipe.train, trial.seed, context.device)
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


def fit_ngram_classifiers(
    model: Network, targets: Sequence[Pool], draw: Draw, context: Context
) -> dict[str, NgramClassifier]:
    """Fit a character n-gram classifier for each target language that has translations of the task's own texts.

    Other parallel text has other n-grams, and its classes are not those of the task's texts.

    Args:
        model: After last-layer retraining.
        targets: Pools of the target languages.
        draw: Whose pairs and shots they are.
        context: What all trials share.
    """
    materials, train, found = context.materials, context.recipe.train, dict[str, NgramClassifier]()
    task, source = materials.task, context.pools[materials.task.source_language, "learn"]
    if not isinstance(model.adaptation, Adaptation) or train.ngram_classifier_strength is None:
        return found
    for pool in targets:
        pairs, texts = projected_texts(draw, pool.language, materials, train)
        if not texts:
            continue
        read = predict_rows(model, source, [one.id for one, _ in pairs], task.source_language)[0]
        shares = {
            normalise(target.texts[0]): logits.softmax(0) for (_, target), logits in zip(pairs, read, strict=True)
        }
        certain = dict(zip(task.labels, torch.eye(len(task.labels)), strict=True))
        shares |= {normalise(shot.texts[0]): certain[str(shot.gold)] for shot in draw.shots[pool.language]}
        network = predict_rows(model, pool.encoded, [example.id for example in texts.values()], pool.language)[0]
        targets_of = torch.stack([shares[text] for text in texts])
        head = fit_ngram_classifier(
            list(texts), targets_of.numpy(), torch.stack(network).numpy(), train.ngram_classifier_strength
        )
        if head is not None:
            found[pool.language] = head
    return found


def projected_texts(
    draw: Draw, language: str, materials: Materials, settings: TrainSettings
) -> tuple[list[Pair], dict[str, Example]]:
    """Return what a language's n-gram classifier is fitted on; nothing where there is none.

    Args:
        draw: Pairs and shots.
        language: A target language.
        materials: The task, development and test sets.
        settings: Whether one is wanted, and how many pairs are learnt from.

    Returns:
        The pairs whose source side is predicted for their target side, and all texts to learn from by what they
        are once normalised: those target sides, and the shots, for a shot is the translation of a pair, too.
    """
    wanted = materials.task.kind.class_logits and settings.ngram_classifier_strength is not None
    paired = any(len(example.texts) > 1 for example in materials.dev)
    if not wanted or paired or not materials.test[language]:  # a trial of a learning rate is not tested
        return [], {}
    pairs = [pair for pair in pairs_to_learn(draw, language, settings.max_pairs) if is_own(pair)]
    examples: list[Example] = [*(target for _, target in pairs), *draw.shots[language]]
    texts = {normalise(example.texts[0]): example for example in examples}
    return (pairs, texts) if pairs and len(texts) >= FEWEST_TEXTS else ([], {})


def _dev_targets(materials: Materials) -> list[int]:
    index = {label: i for i, label in enumerate(materials.task.labels)}
    return [index[str(example.gold)] for example in materials.dev]
