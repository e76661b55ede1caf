"""One trial: learn a draw with a seed, save what was learnt, and score it before and after."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.files import write_lines
from ..core.progress import Reporter
from ..core.records import Trial
from ..data.languages import display_name
from ..model.adaptation import Adaptation, add_lora
from ..model.checkpoint import Identity, save_adaptation
from ..model.extraction import extract_lora
from ..model.freezing import strategy_of
from ..model.prediction import predict_rows
from ..model.word_alignment import count_prefix_tokens
from ..results.source_falls import describe_fall, is_fall
from ..results.units import unit_of
from .alignment_terms import AlignmentTerms, fit_standardisers
from .batches import Order, batched
from .consistency import Consistency
from .cross_validation import Learnt, cross_validate
from .ensembling import fit_ensembles, read_once
from .evaluation import AFTER, BEFORE, INSTANT, evaluate_trial, validation
from .finished import note_finished
from .frozen_head import Before
from .grafting import graft, identity
from .head_fits import choose_threshold, fit_frozen_head, retrain_last_layer, weights_of_classes
from .instant import fit_instant
from .legs import Leg, as_trained, extracted_of, legs_of
from .loop import SAVE_EVERY, Hooks, Progress, train
from .losses import Objective
from .members import add_member, begin_again, next_member, put_mean, start_of
from .pair_comparison import compared_examples, fit_comparison
from .pools import Context, TrialPools, pools_of, with_translations
from .provenance import write_scores
from .source_change import (
    answer_development_set,
    compare_answers,
    development_set,
    read_answers,
    write_development,
)
from .state import TrainingState, load_training_state, next_leg, save_training_state


@dataclass(frozen=True)
class NetworkFactory:
    """How the network of a trial is made, what is saved of it, and what its scores are called."""

    name: str = AFTER
    build: Callable[[Context, TrialPools, Before | None], Any] = field(default_factory=lambda: graft)
    saved: Callable[[Any, Identity], tuple[nn.Module, Identity]] = lambda model, who: (model.adaptation, who)


def run_trial(
    trial: Trial,
    folder: Path,
    context: Context,
    reporter: Reporter,
    factory: NetworkFactory | None = None,
    save_every: float = SAVE_EVERY,
) -> None:
    """Train, save and evaluate one trial; its ``trial.json`` appears last.

    Args:
        trial: Shots, draw and seed.
        folder: Of the run.
        context: What all trials share.
        reporter: What reports how it goes.
        factory: How the network is made, where it is not lingraft's own network.
        save_every: Seconds between two saved training states.
    """
    factory, place = factory or NetworkFactory(), folder / "trials" / trial.name
    learn = partial(_learn, trial=trial, built=factory.build, reporter=reporter, save_every=save_every)
    scores, seconds = cross_validate(trial, folder, context, learn, reporter, factory.name)
    learnt = learn(context, place)
    model, head = learnt.model, learnt.head
    save_adaptation(place / "adaptation.safetensors", *factory.saved(model, identity(context, learnt.languages)))
    context = as_trained(context)
    scores += evaluate_trial(trial, folder, model, learnt.befores, context, reporter, factory.name)
    write_scores(place, scores, context)
    write_lines(place / "training.jsonl", [{"trial": trial.name, **row} for row in learnt.history])
    for line in describe_epochs(learnt.history):
        reporter.say(f"{trial.name}: {line}")
    facts = {
        "name": trial.name,
        "seconds": seconds + learnt.seconds,
        **_score_source(learnt, trial, place, context, reporter),
        "trained": learnt.trained,
        "head_strength": head.strength if head else None,
        "head_dev_score": head.dev_score if head else None,
    }
    if context.materials.task.kind.choose_threshold is not None:
        facts["threshold"] = float(model.adaptation.head.threshold)
    shutil.rmtree(place / "folds", ignore_errors=True)
    note_finished(folder, trial, facts)
    (place / "training.safetensors").unlink(missing_ok=True)
    reporter.tell("trial", **facts, scores=[asdict(score) for score in scores])


def _score_source(learnt: Learnt, trial: Trial, place: Path, context: Context, reporter: Reporter) -> dict[str, Any]:
    """Score the source language's development set: after training, and by how much it differs from where that began.

    What each answer adds to the score is written down; a clear fall is said.
    """
    task, answers = context.materials.task, answer_development_set(learnt.model, context)
    metric, scores = next(iter(task.kind.metrics.items()))
    before = answers if learnt.at_first is None else learnt.at_first
    change = compare_answers(before, answers, context.materials.dev, scores, unit_of(metric).ends)
    write_development(place, context.materials.dev, answers, scores)
    if is_fall(change):
        reporter.warn(f"{trial.name}: {describe_fall(display_name(task.source_language), metric, change)}")
    return {"dev_score": change["after"], "source_change": None if learnt.at_first is None else change}


def _learn(
    context: Context,
    place: Path,
    *,
    trial: Trial,
    built: Callable[[Context, TrialPools, Before | None], Any],
    reporter: Reporter,
    save_every: float,
) -> Learnt:
    """Train the draw of a trial, from where it stopped.

    Args:
        context: What all trials share.
        place: Where the training state is kept.
        trial: Shots, draw and seed.
        built: Makes the network.
        reporter: What reports how it goes.
        save_every: Seconds between two saved training states.
    """
    pools = pools_of(trial, context)
    head = fit_frozen_head(pools.source, pools.targets, pools.standardiser, trial, context, reporter)
    befores = {BEFORE: head.answer if head else None, INSTANT: fit_instant(head, pools, context)}
    started = reporter.clock()
    model = built(context, pools, head).to(context.device)
    at_first = _answer_at_first(model, head, context)
    state = load_training_state(
        place / "training.safetensors", lambda sentence: reporter.warn(f"{trial.name}: {sentence}")
    )
    before = state.seconds if state else 0.0  # what was spent before a stop counts too
    hooks = Hooks(
        save=partial(save_training_state, place / "training.safetensors"),
        say=lambda sentence: reporter.say(f"{trial.name}: {sentence}"),
        clock=reporter.clock,
        save_every=save_every,
    )
    history = train_network(model, pools, context, state or TrainingState(), hooks, reporter)
    not_kept = _extract(model, context, lambda sentence: reporter.say(f"{trial.name}: {sentence}"))
    context = as_trained(context)
    _fit_after_training(model, pools_of(trial, context), context, reporter)
    languages = tuple(pool.language for pool in pools.targets)
    compared = {name: answer for name, answer in befores.items() if answer is not None}
    seconds = before + reporter.clock() - started
    return Learnt(model, head, compared, at_first, languages, history, seconds, _count(model) + not_kept)


def _answer_at_first(model: Any, head: Before | None, context: Context) -> list[str] | None:
    """Answer the development set with what training begins from; None where that is a random head."""
    if context.recipe.train.continue_from is not None:
        return answer_development_set(model, context)
    return read_answers(head.answer(*development_set(context)), context) if head else None


def train_network(
    model: Any,
    pools: TrialPools,
    context: Context,
    state: TrainingState,
    hooks: Hooks,
    reporter: Reporter,
) -> list[dict[str, Any]]:
    """Train the members that are not done to their mean, under one bar; return a row for each epoch.

    Args:
        model: At its start.
        pools: What it learns from.
        context: What all trials share.
        state: Where an earlier training stopped.
        hooks: What is done on the way.
        reporter: What reports how it goes.
    """
    legs, trial, members = legs_of(context.recipe), pools.trial, context.recipe.train.ensemble
    if not legs or not _count(model):  # nothing but a head in which nothing learns
        return []
    steps, start = members * sum(_order(leg, pools, context).steps for leg in legs), start_of(model)
    with reporter.task(f"training {trial.name}", steps) as advance:
        if done := state.steps_before + state.step:
            reporter.say(f"{trial.name}: continuing at step {done}")
            advance(done)
        numbers = count(done + 1)  # a leg's own begin with 1 again

        def take_note(progress: Progress) -> None:
            advance(1, f"loss {progress.loss:.3f}, {progress.tokens_per_second:,.0f} tokens/s")
            reporter.tell("step", trial=trial.name, **asdict(progress) | {"step": next(numbers), "steps": steps})

        hooks = replace(hooks, advance=take_note, ended=lambda row: reporter.tell("epoch", trial=trial.name, **row))
        for member in range(state.member, members):
            if member > state.member:
                begin_again(model, start)
                state = next_member(state)
            state = _train_legs(legs, model, pools, context, state, hooks)
            add_member(state, model)
    put_mean(state, model)
    return state.history


def _train_legs(
    legs: Sequence[Leg], model: Any, pools: TrialPools, context: Context, state: TrainingState, hooks: Hooks
) -> TrainingState:
    """Train the legs of a member that are not done; returns where it ends."""
    for leg in legs:
        if leg.lora is not None:
            torch.manual_seed(leg.seed(pools.trial.seed))
            add_lora(model.adaptation, leg.lora, context.recipe.adapter, context.backbone.stack)
            context = context.from_ids()
            pools = pools_of(pools.trial, context)
        if leg.number > state.leg:
            state = next_leg(state)
        if leg.number == state.leg:
            _train_leg(leg, model, pools, context, state, hooks)
    return state


def _train_leg(leg: Leg, model: Any, pools: TrialPools, context: Context, state: TrainingState, hooks: Hooks) -> None:
    """Run the loop for the epochs of a leg, with its objective and its order."""
    recipe, kind = context.recipe, context.materials.task.kind
    weights = weights_of_classes(pools.source, pools.targets, context).to(context.device)
    alignment = build_alignment_terms(model, pools, context) if any(pool.teacher for pool in pools.targets) else None
    if alignment:
        targets = tuple(with_translations(pool, pools.draw, alignment, context) for pool in pools.targets)
        pools = replace(pools, targets=targets)
    train(
        model,
        _order(leg, pools, context, state.member),
        Objective(
            task_loss=lambda logits, labels, mask, rows: kind.loss(logits, labels, mask, weights, rows),
            alignment=alignment,
            source_weight=recipe.train.source_regularisation,
            consistency=build_consistency(context) if pools.copies else None,
        ),
        phases=strategy_of(recipe.freezing).phases(context.backbone.stack),
        state=state,
        hooks=replace(hooks, validate=partial(validation, context=context)),
    )


def _order(leg: Leg, pools: TrialPools, context: Context, member: int = 0) -> Order:
    """Return what the steps of a leg read."""
    seed = leg.seed(pools.trial.seed_of_order, member)
    return Order(
        pools.source, pools.targets, leg.settings, seed, context.device, pools.copies, early_epochs=leg.early_epochs
    )


def _extract(model: Any, context: Context, say: Callable[[str], None]) -> int:
    """Keep what has learnt as LoRA where that is wanted; returns how many more parameters have learnt than are kept."""
    lora = extracted_of(context.recipe)
    if lora is None:
        return 0
    learnt, rank = _count(model), lora.options["rank"]
    kept = extract_lora(model.adaptation, context.backbone.stack, rank)
    say(f"LoRA of rank {rank} keeps {kept:.0%} of what was learnt (squared norm)")
    return learnt - _count(model)


def _count(model: Any) -> int:
    """Count parameters that are trained, by gradient or in closed form."""
    return sum(p.numel() for p in model.adaptation.parameters() if p.requires_grad)


def _fit_after_training(model: Any, pools: TrialPools, context: Context, reporter: Reporter) -> None:
    """Retrain the last layer, and fit what is ensembled with the network, for pairs of texts or for each language."""
    read = read_once(lambda encoded, ids, language: predict_rows(model, encoded, ids, language)[1])
    retrain_last_layer(read, model, pools, context)
    choose_threshold(model, context)
    if not isinstance(model.adaptation, Adaptation) or not context.materials.task.kind.fitted:
        return
    if compared_examples(pools.draw, context.materials, context.recipe):
        encoded, examples, language = development_set(context)
        logits, _ = predict_rows(model, encoded, [example.id for example in examples], language)
        comparison = fit_comparison(logits, pools.draw, context)
        model.adaptation.comparison = comparison
        reporter.say(f"{pools.trial.name}: {comparison.describe()}")
    found = fit_ensembles(read, model.adaptation.head, pools, context)
    for language, ensemble in found.items():
        model.adaptation.add_ensemble(language, ensemble)
        if ensemble.classifiers:  # of a map alone there is nothing to weigh
            reporter.say(f"{pools.trial.name}: {language}: {ensemble.describe()}")


def describe_epochs(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what learnt in which epochs: ``["epochs 1-2: head", "epochs 3-6: head, prompt"]``."""
    spans: list[tuple[int, int, list[str]]] = []
    for row in history:
        if spans and spans[-1][2] == row["trained"]:
            spans[-1] = (spans[-1][0], row["epoch"], row["trained"])
        else:
            spans.append((row["epoch"], row["epoch"], row["trained"]))
    return [f"epochs {first}-{last} trained {', '.join(names)}" for first, last, names in spans]


def build_alignment_terms(model: Any, pools: TrialPools, context: Context) -> AlignmentTerms | None:
    """Build the alignment losses, each standardised by the frozen source-language states at its layer."""
    recipe, last, source = context.recipe, context.backbone.stack.num_layers, pools.source
    if not recipe.alignment:
        return None
    device = context.device
    layers = sorted({block.layer for block in recipe.alignment if block.layer not in (None, last)})
    standardisers = {last: pools.standardiser}
    if layers:
        batches = [
            source.encoded.table.batch([source.encoded.row[i] for i in ids]).to(device)
            for ids in batched(source.ids, recipe.train.batch_size)
        ]
        standardisers |= fit_standardisers(model, batches, [layer for layer in layers if layer is not None])
    standardisers = {layer: found.to(device) for layer, found in standardisers.items()}
    return AlignmentTerms(
        recipe.alignment,
        standardisers,
        source.language,
        prefix_tokens=count_prefix_tokens(context.backbone),
        closing=context.backbone.stack.closing,
    )


def build_consistency(context: Context) -> Consistency | None:
    """Build the loss of copies that must get the answers of their originals; None where the recipe has none."""
    settings = context.recipe.consistency
    if settings is None:
        return None
    return Consistency(context.materials.task.kind.softmax_over, settings.weight, settings.temperature)
