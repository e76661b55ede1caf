"""Heads that are fitted rather than trained: the frozen head, and the last layer after training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..core.progress import Reporter
from ..core.records import Trial
from ..model.heads.labels import fit_label_heads
from ..model.heads.linear import STRENGTHS, Labelled, LinearHead, fit_head, join, select
from ..model.heads.ridge import fit_ridge_head
from ..model.network import Network
from ..model.prediction import predict_rows, predictions_of
from ..model.standardiser import Standardiser
from ..recipe.settings import TrainSettings
from ..tasks.kinds import Kind
from ..tasks.kinds.classification import class_weights
from ..tasks.material import Materials
from .batches import Order, Pool
from .ensembling import Read, states_of_labelled
from .evaluation import validation
from .frozen_head import (
    Before,
    as_it_is,
    from_fitted_head,
    head_settings,
    is_start,
    is_trained,
    keep_labelled,
    train_frozen_head,
)
from .pools import Context, TrialPools, pairs_to_learn
from .source_change import development_set

SHOT_WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""How much a mapped shot may count in the head, where a source example counts 1."""

FOLDS = 5
"""Of the shots, in each of which some are predicted by heads that did not see them."""


def fit_frozen_head(
    source: Pool,
    targets: Sequence[Pool],
    standardiser: Standardiser,
    trial: Trial,
    context: Context,
    reporter: Reporter,
) -> Before | None:
    """Fit the head on frozen states; where one must be trained for it, only if training is to start from it.

    It learns from what people labelled, so that a run shows what pseudo-data give; from these where there is nothing
    else (``pseudo.gold: false``).

    Args:
        source: Pool of the source language.
        targets: Pools of the target languages.
        standardiser: Of the frozen states of the source language.
        trial: Shots, draw and seed.
        context: What all trials share.
        reporter: What reports how it goes.
    """
    task, recipe = context.materials.task, context.recipe
    targets = labelled_by_people(targets) if source.labelled else targets
    if task.kind.fitted:
        before = from_fitted_head(closed_form_head(source, targets, standardiser, context))
        strength = None if task.kind.numeric else before.strength  # of numbers no development text has a part in it
        return replace(before, strength=strength, dev_score=_score_on_development_set(before, context))
    if not task.kind.head_learns:
        return as_it_is(task.kind, context.backbone.stack, partial(validation, context=context))
    if not is_trained(task.kind, recipe.train):
        return None
    seed, settings = trial.seed_of_order, head_settings(recipe.train)
    order = Order(source, keep_labelled(targets), settings, seed, context.device)
    with reporter.task(f"frozen head {trial.name}", order.steps) as advance:
        return train_frozen_head(
            task.kind,
            context.backbone.stack,
            order,
            seed=trial.seed,
            validate=partial(validation, context=context),
            finish=partial(choose_threshold, context=context),
            advance=lambda p: advance(1, f"loss {p.loss:.3f}"),
        )


def _score_on_development_set(before: Before, context: Context) -> float:
    """Return the score that counts, which is not always the accuracy of the classes."""
    task = context.materials.task
    encoded, examples, language = development_set(context)
    found = predictions_of(before.answer(encoded, examples, language), examples, encoded, task)
    metric = next(iter(task.kind.metrics.values()))
    return metric([example.gold for example in examples], [one.value for one in found])


def closed_form_head(
    source: Pool, targets: Sequence[Pool], standardiser: Standardiser, context: Context, shot_weight: float = 1.0
) -> LinearHead:
    """Fit a head to frozen states, from all labels of the draw: logistic regression, or to numbers ridge regression.

    Args:
        source: Pool of the source language.
        targets: Pools of the target languages.
        standardiser: Of the frozen states of the source language.
        context: What all trials share.
        shot_weight: How much a labelled target example counts, where a source example counts 1.
    """
    materials, pools = context.materials, context.pools
    labelled = [(pool, pool.targets) for pool in (source, *targets) if pool.labelled]
    weights = [pool.weights.get(i, 1.0 if pool is source else shot_weight) for pool, known in labelled for i in known]
    states = torch.cat([pool.encoded.pooled(list(known)) for pool, known in labelled])
    dev = pools[materials.task.source_language, "dev"].pooled([example.id for example in materials.dev])
    return _fit_of(materials, dev, standardiser)(Labelled(states, _targets(labelled), weights))


def _fit_of(materials: Materials, dev: Tensor, standardiser: Standardiser, **options: Any) -> Callable[..., LinearHead]:
    """Return what fits a head to labelled states; ``strengths`` may be given with them.

    Args:
        materials: Whose kind of task says which head.
        dev: States of the development set, ``[D, H]``, by which the strength of a logistic regression is chosen.
        standardiser: Of the states.
        options: Further ones of :func:`lingraft.model.heads.linear.fit_head`.
    """
    kind = materials.task.kind
    if kind.numeric:
        return partial(fit_ridge_head, standardiser=standardiser)
    if kind.label_logits:
        return partial(
            fit_label_heads,
            dev=Labelled(dev, [[int(label in one.labels) for label in kind.labels] for one in materials.dev]),
            standardiser=standardiser,
            choose_threshold=partial(_choose_for, materials),
            strengths=options.get("strengths", STRENGTHS),
        )
    own = {"classes": len(materials.task.labels), "balanced": False, "calibrated": True} | options
    return partial(fit_head, dev=Labelled(dev, _dev_targets(materials)), standardiser=standardiser, **own)


def _choose_for(materials: Materials, logits: Sequence[Tensor]) -> float:
    """Return the threshold for logits of the development set."""
    choose = materials.task.kind.choose_threshold
    return 0.0 if choose is None else choose(materials.dev, (), logits)


def labelled_by_people(pools: Sequence[Pool]) -> list[Pool]:
    """Return pools in which nothing has a label that nobody gave it."""
    return [replace(pool, labelled=frozenset(pool.labelled) - pool.weights.keys()) for pool in pools]


def _targets(labelled: Sequence[tuple[Pool, Mapping[str, Any]]]) -> list[Any]:
    """Return the classes, or the numbers, of all that is labelled."""
    return [target for _, known in labelled for target in known.values()]


def weights_of_classes(source: Pool, targets: Sequence[Pool], context: Context) -> Tensor:
    """Return weights of classes; words and spans are not weighed, for most are in one class."""
    kind = context.materials.task.kind
    if not kind.one_class_each:
        return torch.ones(max(1, len(kind.labels)))
    known = _targets([(pool, pool.targets) for pool in (source, *targets)])
    return class_weights(known, len(kind.labels), balanced=context.recipe.train.class_balanced)


def retrain_last_layer(read: Read, model: Network, pools: TrialPools, context: Context) -> None:
    """Fit the head to the adapted states of all labels of the draw (last-layer retraining).

    Args:
        read: Reads texts with the network.
        model: After training; its head is written to.
        pools: What the trial learns from.
        context: What all trials share.
    """
    train = context.recipe.train
    if not is_last_layer_retrained(context.materials.task.kind, train):
        return
    unmoved = train.num_train_epochs == 0 and is_start(train) and model.adaptation.leaves_states
    if unmoved and not has_shots(pools):
        return  # it would become what it is
    fit_last_layer(read, model.adaptation.head, pools, context).write_to(model.adaptation.head)


def has_shots(pools: TrialPools) -> bool:
    """Return whether any target language has labels."""
    return any(pool.labelled for pool in pools.targets)


def fit_last_layer(read: Read, head: nn.Module, pools: TrialPools, context: Context) -> LinearHead:
    """Fit a head to states of all labels of the draw; those of a target language are mapped, where it has a map.

    A shot whose translation is learnt from is left to that, which has its label: a mapped state is less than the state
    itself. How much another mapped shot counts is chosen by cross-validation on these shots; what nobody labelled has
    its own weight.

    Args:
        read: Reads texts with the network as it is: frozen, or adapted.
        head: The head as it is, whose weights say what maps are kept of.
        pools: What the trial learns from.
        context: What all trials share.
    """
    materials, train = context.materials, context.recipe.train
    language = materials.task.source_language
    dev = read(context.pools[language, "dev"], [example.id for example in materials.dev], language)
    known, shots, groups = _states_with_labels(read, head, pools, context)
    fit = _fit_of(
        materials,
        dev,
        pools.standardiser,
        balanced=train.class_balanced and train.num_train_epochs > 0,
        strengths=_strengths_of(train),
    )
    alone = fit(known)
    if not shots.targets:
        return alone
    fit, weight = partial(fit, strengths=(alone.strength,)), train.shot_weight
    if context.recipe.map:
        kind = materials.task.kind
        off = _squared_error if kind.numeric else _log_loss_of_labels if kind.label_logits else _log_loss
        weight = choose_shot_weight(fit, known, shots, groups, off=off)
    return fit(join([known, _weighed(shots, weight)]))


def _strengths_of(settings: TrainSettings) -> Sequence[float]:
    """Return the strengths that a head's is chosen from: ``last_layer_strength`` is one for adapted states."""
    if settings.last_layer_strength is None or settings.num_train_epochs == 0:
        return STRENGTHS
    return (settings.last_layer_strength,)


def _states_with_labels(
    read: Read, head: nn.Module, pools: TrialPools, context: Context
) -> tuple[Labelled, Labelled, list[str]]:
    """Return what has a weight of its own, and the other shots that are learnt from, with the groups of these."""
    source, of_shot = pools.source, {e.id: e.group for shots in pools.draw.shots.values() for e in shots}
    own, shots, groups = list[Labelled](), list[Labelled](), list[str]()
    if source.labelled:
        states = read(source.encoded, list(source.targets), source.language)
        own.append(Labelled(states, _targets([(source, source.targets)])))
    for pool in pools.targets:
        if not pool.labelled:
            continue
        ids, translated = list(pool.targets), _shots_with_translations(pool, pools, context)
        chosen = [row for row, i in enumerate(ids) if i not in pool.weights and i not in translated]
        if not chosen and not pool.weights:
            continue
        states = states_of_labelled(read, head, pool, pools.draw, context)
        labelled = Labelled(states, _targets([(pool, pool.targets)]), [pool.weights.get(i, 1.0) for i in ids])
        own.append(select(labelled, [row for row, i in enumerate(ids) if i in pool.weights]))
        shots.append(select(labelled, chosen))
        groups += [of_shot[ids[row]] for row in chosen]
    known = join(own)
    return known, join([select(known, ()), *shots]), groups


def _shots_with_translations(pool: Pool, pools: TrialPools, context: Context) -> set[str]:
    """Return the shots that would be mapped, though the state that they would be mapped to is learnt from itself."""
    if context.recipe.map is None:
        return set()
    pairs = pairs_to_learn(pools.draw, pool.language, context.recipe.train.max_pairs)
    return {target.id for source, target in pairs if source.id in pools.source.labelled}


def _log_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits, targets, reduction="sum")


def _log_loss_of_labels(logits: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits[:, :-1], targets.float(), reduction="sum")


def _squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.mse_loss(logits[:, 0], targets, reduction="sum")


def choose_shot_weight(
    fit: Callable[..., LinearHead],
    source: Labelled,
    shots: Labelled,
    groups: Sequence[str],
    *,
    off: Callable[[Tensor, Tensor], Tensor] = _log_loss,
) -> float:
    """Return the weight of a shot with which heads that did not see it predict it best, where a source example has 1.

    Args:
        fit: As :func:`lingraft.model.heads.linear.fit_head`, with all but the examples and their ``weights``.
        source: Labelled source-language examples, and what else has a weight of its own.
        shots: Those of all target languages.
        groups: Of the shots; translations of each other have the same, and are held out together.
        off: Outputs ``[N, C]`` and targets ``[N]`` (of labels ``[N, L]``) to how far they are from these, all together.
    """
    from sklearn.model_selection import GroupKFold

    count = len(set(groups))
    folds = list(GroupKFold(min(FOLDS, count)).split(groups, groups=groups)) if count > 1 else []

    def loss(weight: float) -> float:
        total = 0.0
        for known, held_out in folds:
            seen, asked = select(shots, known), select(shots, held_out)
            head = fit(join([source, _weighed(seen, weight)]))
            logits, targets = head.logits(asked.pooled), torch.tensor(asked.targets)
            total += off(logits, targets).item()
        return total

    return min(SHOT_WEIGHTS, key=loss) if folds else SHOT_WEIGHTS[0]


def _weighed(labelled: Labelled, weight: float) -> Labelled:
    return replace(labelled, weights=[weight] * len(labelled.targets))


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
    """Return whether the last layer is retrained: where it can be fitted, and of numbers where nothing is trained."""
    trained = settings.num_train_epochs > 0  # an untrained network's head is fitted anew, now that shots are mapped
    return kind.fitted and (not trained or (kind.projects_labels and settings.last_layer_strength is not None))


def _dev_targets(materials: Materials) -> list[int]:
    index = {label: i for i, label in enumerate(materials.task.labels)}
    return [index[str(example.gold)] for example in materials.dev]
