"""One training: learn a draw with a seed, save what was learnt, and score it before and after."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .backbones.loading import weights_digest
from .batches import Order, Pool, batched
from .before import Before, fitted, labelled_alone, trained
from .checkpoint import Identity, continue_from, load_training_state, save_adaptation, save_training_state
from .data.text import normalised
from .encode import Encoded
from .evaluate import predict_rows, predictions_of, score_by_language
from .example_json import as_json
from .freezing import freezing, thawed
from .lexical import LexicalHead, fit_lexical, with_words
from .linear_head import Labelled, LinearHead, fit_head
from .materials import Draw, Materials, is_own
from .metrics import SumMetric
from .model import Adaptation, GraftedModel, Network, build_adaptation
from .prepared import Prepared, learning_pools, opening, passed_pairs, with_translations
from .progress import Reporter
from .records import ChoiceExample, Example, Prediction, Score, SpanExample
from .run_folder import Unit, write_json, write_lines
from .starts import starts
from .tasks import Task
from .tasks.classification import class_weights
from .train import Validation, train
from .transfer import Frame, Transfer, frames_of
from .version import __version__

BEFORE, AFTER = "frozen-head", "lingraft"
PROBED = 8  # texts per language whose logits a fresh process must give back


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
    weights = _class_weights(source, targets, prepared).to(accelerator.device)
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
    if task.kind.name == "classification":
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


def before_training(
    source: Pool, targets: Sequence[Pool], frame: Frame, unit: Unit, prepared: Prepared, reporter: Reporter
) -> Before | None:
    """The head on frozen states; where one must be trained for it, only if training is to start from it."""
    task, recipe = prepared.materials.task, prepared.recipe
    if task.kind.name == "classification":
        return fitted(logistic_head(source, targets, frame, prepared))
    if not recipe.train.warm_start or recipe.train.continue_from is not None:
        return None
    order = Order(source, labelled_alone(targets), recipe.train, unit.seed, prepared.accelerator.device)
    with reporter.task(f"frozen head {unit.name}", order.steps) as advance:
        return trained(
            task.kind,
            prepared.backbone.stack,
            order,
            validate=partial(validation, prepared=prepared),
            advance=lambda p: advance(1, f"loss {p.loss:.3f}"),
        )


def logistic_head(
    source: Pool, targets: Sequence[Pool], frame: Frame, prepared: Prepared, shot_weight: float = 1.0
) -> LinearHead:
    """Logistic regression on frozen states, from all labels of the draw."""
    materials, pools = prepared.materials, prepared.pools
    labelled = [(pool, pool.targets) for pool in (source, *targets) if pool.labelled]
    dev = pools[materials.task.source_language, "dev"]
    return fit_head(
        Labelled(torch.cat([pool.encoded.pooled(list(known)) for pool, known in labelled]), _classes(labelled)),
        Labelled(dev.pooled([example.id for example in materials.dev]), _dev_targets(materials)),
        frame=frame,
        classes=len(materials.task.labels),
        balanced=False,
        weights=[1.0 if pool is source else shot_weight for pool, known in labelled for _ in known],
        calibrated=True,
    )


def _classes(labelled: Sequence[tuple[Pool, Mapping[str, Any]]]) -> list[int]:
    return [int(target) for _, known in labelled for target in known.values()]


def _class_weights(source: Pool, targets: Sequence[Pool], prepared: Prepared) -> Tensor:
    """Weights of classes; words and spans are not weighed, for most are in one class."""
    kind = prepared.materials.task.kind
    if kind.name != "classification":
        return torch.ones(max(1, len(kind.labels)))
    known = _classes([(pool, pool.targets) for pool in (source, *targets)])
    return class_weights(known, len(kind.labels), balanced=prepared.recipe.train.class_balanced)


def refit(model: Network, source: Pool, targets: Sequence[Pool], frame: Frame, prepared: Prepared) -> None:
    """Fit the head again, on the adapted states of all labels of the draw."""
    materials, pools, recipe = prepared.materials, prepared.pools, prepared.recipe
    strength = recipe.train.refit_strength
    if strength is None:
        return
    labelled = [(pool, pool.targets) for pool in (source, *targets) if pool.labelled]
    states = [predict_rows(model, pool.encoded, list(known), pool.language)[1] for pool, known in labelled]
    language = materials.task.source_language
    dev_ids = [example.id for example in materials.dev]
    dev = predict_rows(model, pools[language, "dev"], dev_ids, language)[1]
    head = fit_head(
        Labelled(torch.cat(states), _classes(labelled)),
        Labelled(dev, _dev_targets(materials)),
        frame=frame,
        classes=len(materials.task.labels),
        balanced=recipe.train.class_balanced,
        strengths=(strength,),
        weights=[1.0 if pool is source else recipe.train.shot_weight for pool, known in labelled for _ in known],
        calibrated=True,
    )
    head.write_to(model.adaptation.head)


def learn_words(model: Network, targets: Sequence[Pool], draw: Draw, prepared: Prepared) -> dict[str, LexicalHead]:
    """What the words say in each target language that has translations of the task's own texts.

    Other parallel text teaches other words, and its classes are not those of the task's texts.
    """
    task, recipe, found = prepared.materials.task, prepared.recipe, dict[str, LexicalHead]()
    english, strength = prepared.pools[task.source_language, "learn"], recipe.train.lexical_strength
    paired = any(len(example.texts) > 1 for example in prepared.materials.dev)
    if strength is None or paired or not isinstance(model.adaptation, Adaptation):
        return found
    for pool in targets:
        pairs = [pair for pair in passed_pairs(draw, pool.language, recipe.train.max_pairs) if is_own(pair)]
        if not pairs or not prepared.materials.test[pool.language]:  # a trial of a learning rate is not tested
            continue
        read = predict_rows(model, english, [source.id for source, _ in pairs], task.source_language)[0]
        taught: dict[str, tuple[Example, Tensor]] = {
            normalised(target.texts[0]): (target, logits.softmax(0))
            for (_, target), logits in zip(pairs, read, strict=True)
        }
        # A shot is the translation of a pair, too: what is known of it counts.
        certain = dict(zip(task.labels, torch.eye(len(task.labels)), strict=True))
        taught |= {normalised(shot.texts[0]): (shot, certain[str(shot.gold)]) for shot in draw.shots[pool.language]}
        network = predict_rows(model, pool.encoded, [example.id for example, _ in taught.values()], pool.language)[0]
        shares = torch.stack([target for _, target in taught.values()])
        head = fit_lexical(list(taught), shares.numpy(), torch.stack(network).numpy(), strength)
        if head is not None:
            found[pool.language] = head
    return found


def _dev_targets(materials: Materials) -> list[int]:
    index = {label: i for i, label in enumerate(materials.task.labels)}
    return [index[str(example.gold)] for example in materials.dev]


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


def evaluate_unit(
    unit: Unit,
    folder: Path,
    model: Network,
    head: Before | None,
    prepared: Prepared,
    reporter: Reporter,
    name: str = AFTER,
) -> list[Score]:
    """Score the test sets before and after; write the predictions."""
    recipe, materials, pools = prepared.recipe, prepared.materials, prepared.pools
    task, scores, probes = materials.task, list[Score](), {}
    for language in task.languages:
        examples = materials.test[language]
        if not examples:
            continue
        encoded, ids = pools[language, "test"], [example.id for example in examples]
        count = sum(len(encoded.rows[i]) for i in ids)
        with reporter.task(f"scoring {unit.name}, {language}", count * (1 if head is None else 2)) as advance:
            logits, _ = predict_rows(model, encoded, ids, language, advance)
            logits = with_words(model.adaptation, [example.texts for example in examples], logits, language)
            found = {name: predictions_of(logits, examples, encoded, task)}
            if head is not None:
                found = {BEFORE: predictions_of(head.logits(encoded, ids, language), examples, encoded, task)} | found
                advance(count)
        lines = prediction_rows(examples, found[name], found.get(BEFORE) if head else None, task)
        write_lines(folder / "predictions" / unit.name / f"{language}.jsonl", lines)
        probes[language] = [
            {"example": as_json(example), "logits": [logits[row].tolist() for row in rows]}
            for example, rows in zip(examples[:PROBED], _rows_of(examples[:PROBED], encoded), strict=True)
        ]
        for method, predictions in found.items():
            scores += score_by_language(
                examples,
                [prediction.value for prediction in predictions],
                task,
                language=language,
                method=method,
                unit=unit,
                run=folder.name,
            )
    write_json(folder / "units" / unit.name / "probe.json", {"tolerance": recipe.rounding, "languages": probes})
    return scores


def _rows_of(examples: Sequence[Example], encoded: Encoded) -> list[list[int]]:
    """Places of the examples' logits, the first examples of all being asked for in their order."""
    found, at = [], 0
    for example in examples:
        count = len(encoded.rows[example.id])
        found.append(list(range(at, at + count)))
        at += count
    return found


def prediction_rows(
    examples: Sequence[Example], after: Sequence[Prediction], before: Sequence[Prediction] | None, task: Task
) -> list[dict[str, Any]]:
    """The lines of a file of predictions."""
    lines = []
    for i, (example, prediction) in enumerate(zip(examples, after, strict=True)):
        main = next(iter(task.kind.metrics_of(example).values()))
        line: dict[str, Any] = {
            "id": example.id,
            "group": example.group,
            "text": example.texts[0],
            "text_b": example.texts[1] if task.kind.name == "classification" and len(example.texts) > 1 else None,
            "gold": example.gold,
        }
        if isinstance(example, SpanExample):  # a file of one language of contexts may hold questions in several
            line |= {"language": example.language, "context_language": example.context_language}
        if isinstance(example, ChoiceExample):
            line["alternatives"] = example.alternatives
        if before is not None:
            line |= {"before": before[i].value, "before_confidence": before[i].confidence}
        line |= {"value": prediction.value, "confidence": prediction.confidence}
        if isinstance(main, SumMetric):
            line["counts"] = main.counts(example.gold, prediction.value)
            if before is not None:
                line["before_counts"] = main.counts(example.gold, before[i].value)
        lines.append(line)
    return lines


def validation(model: Network, *, prepared: Prepared) -> Validation:
    """How the network does on the source language's development set."""
    task, examples = prepared.materials.task, prepared.materials.dev
    encoded = prepared.pools[task.source_language, "dev"]
    logits, _ = predict_rows(model, encoded, [example.id for example in examples], task.source_language)
    predicted = [prediction.value for prediction in predictions_of(logits, examples, encoded, task)]
    gold = [example.gold for example in examples]
    main = next(iter(task.kind.metrics.values()))
    answers, right = ([str(one) for one in side] for side in (predicted, gold))
    if task.kind.name == "tagging":  # each word has an answer of its own
        answers, right = (" ".join(side).split() for side in (answers, right))
    return Validation(main(gold, predicted), Counter(answers), len(set(right)))
