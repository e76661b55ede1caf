"""One training: learn a draw with a seed, save what was learnt, and score it before and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..backbones.digests import weights_digest
from ..core.files import write_json, write_lines
from ..core.progress import Reporter
from ..core.records import Unit
from ..core.version import __version__
from ..model.adaptation import build_adaptation
from ..model.checkpoint import Identity, continue_from, save_adaptation
from ..model.freezing import freezing, thawed
from ..model.network import GraftedModel
from ..model.prompts.initialisers import starts
from ..model.standardiser import Frame
from .alignment_terms import Transfer, frames_of
from .batches import Order, Pool, batched
from .evaluation import AFTER, evaluate_unit, validation
from .frozen_head import Before
from .head_fits import before_training, learn_words, refit, weights_of_classes
from .loop import train
from .pools import Prepared, learning_pools, opening, with_translations
from .state import load_training_state, save_training_state


@dataclass(frozen=True)
class Method:
    """How the network of a training is made, what is saved of it, and what its scores are called."""

    name: str = AFTER
    build: Callable[[Prepared, Pool, Before | None, int], Any] = field(default_factory=lambda: grafted)
    saved: Callable[[Any, Identity], tuple[nn.Module, Identity]] = lambda model, who: (model.adaptation, who)


def run_unit(unit: Unit, folder: Path, prepared: Prepared, reporter: Reporter, method: Method | None = None) -> None:
    """Train, save and evaluate one (shots, draw, seed); ``unit.json`` appears last."""
    method = method or Method()
    recipe, materials, accelerator = prepared.recipe, prepared.materials, prepared.accelerator
    task, place, stack = materials.task, folder / "units" / unit.name, prepared.backbone.stack
    draw = next(draw for draw in materials.draws if (draw.k, draw.draw) == (unit.k, unit.draw))
    source, targets = learning_pools(draw, prepared)
    prepared = replace(prepared, learnt=tuple(pool.language for pool in targets))
    frame = Frame.of(torch.cat([state.view(-1, prepared.backbone.stack.width) for state in source.teacher.values()]))
    head = before_training(source, targets, frame, unit, prepared, reporter)
    started = time.monotonic()
    model = method.build(prepared, source, head, unit.seed)
    model.to(accelerator.device)
    phases = freezing.build(recipe.freezing.name, recipe.freezing.options).phases(stack)
    frozen = weights_digest(stack, but=thawed(phases))
    weights = weights_of_classes(source, targets, prepared).to(accelerator.device)
    transfer = _transfer(model, frame, source, prepared) if any(pool.teacher for pool in targets) else None
    if transfer:
        targets = [with_translations(pool, draw, transfer, prepared) for pool in targets]
    order = Order(source, tuple(targets), recipe.train, unit.seed, accelerator.device)
    with reporter.task(f"training {unit.name}", order.steps) as advance:
        state = load_training_state(place / "training.safetensors", lambda told: reporter.say(f"{unit.name}: {told}"))
        started -= state.seconds if state else 0.0  # what was spent before a stop counts too
        if state:
            reporter.say(f"{unit.name}: continuing at step {state.step}")
            advance(state.step)
        history = train(
            model,
            order.epoch,
            task_loss=lambda logits, labels, mask: task.kind.loss(logits, labels, mask, weights),
            transfer=transfer,
            settings=recipe.train,
            seed=unit.seed,
            num_epochs=order.epochs,
            phases=phases,
            state=state,
            save=partial(save_training_state, place / "training.safetensors"),
            validate=partial(validation, prepared=prepared),
            advance=lambda p: advance(1, f"loss {p.loss:.3f}, {p.tokens_per_second:,.0f} tokens/s"),
            say=lambda sentence: reporter.say(f"{unit.name}: {sentence}"),
            accelerator=accelerator,
        )
    if task.kind.class_logits:
        refit(model, source, targets, frame, prepared)
        words = learn_words(model, targets, draw, prepared)
        if words:
            model.adaptation.lexical.update(words)
        for language, lexical in words.items():
            of_network, of_words = lexical.scales.tolist()
            reporter.say(
                f"{unit.name}: {language}: the words' logits count {of_words:.2f}, the network's {of_network:.2f}"
            )
    seconds = time.monotonic() - started
    save_adaptation(place / "adaptation.safetensors", *method.saved(model, identity(prepared)))
    scores = evaluate_unit(unit, folder, model, head, prepared, reporter, method.name)
    write_lines(place / "scores.jsonl", [asdict(s) for s in scores])
    write_lines(place / "training.jsonl", [{"unit": unit.name, **row} for row in history])
    for line in trained_when(history):
        reporter.say(f"{unit.name}: {line}")
    facts = {
        "name": unit.name,
        "seconds": seconds,
        "dev_score": validation(model, prepared=prepared).score,
        "digest_after": weights_digest(stack),
        "frozen_digest_before": frozen,
        "frozen_digest_after": weights_digest(stack, but=thawed(phases)),
        "trained": sum(p.numel() for p in model.adaptation.parameters() if p.requires_grad),
        "head_strength": head.strength if head else None,
        "head_dev_score": head.dev_score if head else None,
    }
    write_json(place / "unit.json", facts)
    (place / "training.safetensors").unlink(missing_ok=True)


def trained_when(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """What learnt in which epochs: ``["epochs 1-2: head", "epochs 3-6: head, prompt"]``."""
    spans: list[tuple[int, int, list[str]]] = []
    for row in history:
        if spans and spans[-1][2] == row["trained"]:
            spans[-1] = (spans[-1][0], row["epoch"], row["trained"])
        else:
            spans.append((row["epoch"], row["epoch"], row["trained"]))
    return [f"epochs {first}-{last} trained {', '.join(names)}" for first, last, names in spans]


def _transfer(model: Any, frame: Frame, source: Pool, prepared: Prepared) -> Transfer | None:
    """The alignment losses, each in the frame of the frozen source-language states at its layer."""
    recipe, last = prepared.recipe, prepared.backbone.stack.num_layers
    if not recipe.alignment:
        return None
    device = prepared.accelerator.device
    layers = sorted({block.layer for block in recipe.alignment if block.layer not in (None, last)})
    frames = {last: frame}
    if layers:
        batches = [
            source.encoded.table.batch([source.encoded.row[i] for i in ids]).to(device)
            for ids in batched(source.passed, recipe.train.batch_size)
        ]
        frames |= frames_of(model, batches, [layer for layer in layers if layer is not None])
    frames = {layer: found.to(device) for layer, found in frames.items()}
    return Transfer(recipe.alignment, frames, source.language, special=opening(prepared))


def grafted(prepared: Prepared, source: Pool, head: Before | None, seed: int) -> GraftedModel:
    """A model at its start: frozen stack, new prompts and adapters, the frozen head (a random one if not wanted)."""
    recipe, task, stack = prepared.recipe, prepared.materials.task, prepared.backbone.stack
    torch.manual_seed(seed)
    device = next(stack.parameters()).device
    some = source.encoded.table.batch([source.encoded.row[i] for i in source.passed[:32]]).to(device)
    linear = nn.Linear(stack.width, task.kind.outputs)
    if recipe.train.warm_start and head is not None:
        head.write_to(linear)
    adaptation = build_adaptation(
        prompt=recipe.prompt,
        adapter=recipe.adapter,
        stack=stack,
        cut=prepared.cut,
        languages=prepared.learnt,
        head=linear,
        initial=starts(prepared.backbone, some, task.labels, torch.Generator().manual_seed(seed)),
        unfrozen=thawed(freezing.build(recipe.freezing.name, recipe.freezing.options).phases(stack)),
        per_token=task.kind.per_token,
    )
    if recipe.train.continue_from is not None:
        continue_from(recipe.train.continue_from, adaptation, identity(prepared), prepared.backbone)
    return GraftedModel(stack, adaptation)


def identity(prepared: Prepared) -> Identity:
    """What the saved adaptation needs to be used, and to refuse another backbone."""
    recipe, backbone, task = prepared.recipe, prepared.backbone, prepared.materials.task
    return Identity(
        checkpoint=recipe.backbone.checkpoint,
        weights_digest=backbone.weights_digest,
        tokenizer_digest=backbone.tokenizer_digest,
        text_prefix=backbone.text_prefix,
        cut=prepared.cut,
        max_length=recipe.backbone.max_length,
        task=task.name,
        kind=task.kind.name,
        labels=task.labels,
        source_language=task.source_language,
        languages=prepared.learnt,
        prompt=recipe.prompt.model_dump() if recipe.prompt else None,
        adapter=recipe.adapter.model_dump(mode="json") if recipe.adapter else None,
        version=__version__,
        paired=any(len(e.texts) > 1 for e in prepared.materials.dev),
        outputs=task.kind.outputs,
        kind_options=dict(task.kind.options),
        precision=backbone.stack.precision,
    )
