"""The composition root: from a recipe to a finished run folder, one function per stage.

data -> encode -> for each (shots, draw, seed): train, save, evaluate -> finish. A stage that is
done is not repeated: the cache keeps the states, and each training keeps its folder.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedTokenizerBase

from . import __version__
from .backbones.loading import Backbone, load_backbone
from .batches import Pool, epoch_steps
from .checkpoint import Identity, load_training_state, save_adaptation, save_training_state
from .config import Recipe
from .encode import Encoded, encode
from .errors import ConfigError
from .evaluate import predict_states, score
from .finish import picture, summarise, verify_in_fresh_process
from .linear_head import Labelled, LinearHead, fit_head
from .materials import Draw, Materials, gather
from .model import GraftedModel, build_adaptation, sampled_states
from .progress import Reporter
from .records import Features, PairExample, Score
from .report import write_model_card, write_report
from .run_folder import Unit, opened, units, write_json, write_lines
from .tasks.classification import class_weights
from .train import train
from .transfer import Frame, Transfer

Pools = Mapping[tuple[str, str], Encoded]
"""Frozen states by language and purpose: ``learn``, ``dev`` (source language only), ``test``."""

BEFORE, AFTER = "frozen-head", "lingraft"
PROBED = 8  # texts per language whose logits a fresh process must give back


def run(recipe: Recipe, *, quiet: bool = False) -> Path:
    """Run a recipe to its end, or continue where it stopped; returns the run folder.

    Raises:
        LingraftError: With one clear message; what was finished stays finished.
    """
    reporter = Reporter(quiet=quiet)
    with opened(recipe.output_dir, recipe) as folder:
        if (folder / "README.md").exists():  # written last
            reporter.say(f"{folder} is finished already; delete it to run the recipe anew")
            return folder
        materials = gather(recipe)
        backbone, accelerator = load(recipe, reporter)
        cut = resolved_cut(recipe, backbone.stack.num_layers)
        features = tokenise(materials, backbone.tokenizer, backbone.text_prefix, recipe)
        started = time.monotonic()
        pools = encode_all(features, backbone, recipe, cut, accelerator.device, reporter)
        write_json(folder / "data.json", data_card(materials, features, backbone, recipe))
        encoding = time.monotonic() - started
        for unit in units(recipe):
            if not (folder / "units" / unit.name / "unit.json").exists():
                run_unit(unit, folder, recipe, materials, backbone, cut, pools, accelerator, reporter)
        summarise(folder, recipe, backbone, cut, encoding)
        write_json(folder / "states.json", picture(folder, recipe, materials, backbone, pools, accelerator.device))
        verify_in_fresh_process(folder)
        write_report(folder)
        write_model_card(folder)
    return folder


def load(recipe: Recipe, reporter: Reporter) -> tuple[Backbone, Accelerator]:
    """The frozen model, on the device that the recipe asks for."""
    reporter.say(f"loading {recipe.backbone.checkpoint}")
    accelerator = Accelerator(cpu=recipe.device == "cpu")
    if recipe.device not in ("auto", accelerator.device.type):
        raise ConfigError([f"device: {recipe.device} was asked for, this machine offers {accelerator.device.type}"])
    backbone = load_backbone(recipe.backbone.checkpoint, text_prefix=recipe.backbone.text_prefix)
    if recipe.backbone.max_length > backbone.max_length:
        raise ConfigError(
            [f"backbone.max_length: {recipe.backbone.max_length} is more than the checkpoint's {backbone.max_length}"]
        )
    backbone.stack.to(accelerator.device)
    return backbone, accelerator


def resolved_cut(recipe: Recipe, num_layers: int) -> int:
    """The cut as a number; see ``BackboneSettings.cut``."""
    cut = recipe.backbone.cut
    if cut == "auto":
        # Two thirds: the best of cuts 6, 8 and 10 of 12 in a pilot on Yoruba topics.
        return 0 if recipe.prompt and recipe.prompt.name == "input" else round(2 / 3 * num_layers)
    if cut >= num_layers:
        raise ConfigError(
            [f"backbone.cut: {cut} leaves nothing to train above it; the checkpoint has {num_layers} layers"]
        )
    return cut


# --- Data and states --------------------------------------------------------------------------------


def tokenise(
    materials: Materials, tokenizer: PreTrainedTokenizerBase, text_prefix: str, recipe: Recipe
) -> dict[tuple[str, str], list[Features]]:
    """Features of every text that a run needs, by language and purpose."""
    task = materials.task
    wanted: dict[tuple[str, str], Sequence[PairExample]] = {}
    for language in task.languages:
        wanted[language, "learn"] = materials.learn(language)
        wanted[language, "test"] = materials.test[language]
    wanted[task.source_language, "dev"] = materials.dev
    return {
        key: task.encode(examples, tokenizer, recipe.backbone.max_length, text_prefix)
        for key, examples in wanted.items()
    }


def encode_all(
    features: Mapping[tuple[str, str], Sequence[Features]],
    backbone: Backbone,
    recipe: Recipe,
    cut: int,
    device: torch.device,
    reporter: Reporter,
) -> Pools:
    """Frozen states of all texts, computed once."""
    total = sum(len(f.input_ids) for group in features.values() for f in group)
    with reporter.task("encoding", total) as advance:
        return {
            key: encode(
                group,
                backbone,
                cut=cut,
                max_length=recipe.backbone.max_length,
                dtype=recipe.cache.dtype,
                max_bytes=int(recipe.cache.max_gigabytes * 1e9),
                device=device,
                advance=advance,
            )
            for key, group in features.items()
            if group
        }


def data_card(
    materials: Materials,
    features: Mapping[tuple[str, str], Sequence[Features]],
    backbone: Backbone,
    recipe: Recipe,
) -> dict[str, Any]:
    """Counts, licences and what was removed: the content of ``data.json``."""
    from .data.languages import display_name

    task, first = materials.task, materials.draws[0]
    unknown_id = backbone.tokenizer.unk_token_id
    languages = {}
    for code in task.languages:
        found = [f for key, group in features.items() if key[0] == code for f in group]
        tokens = sum(len(f.input_ids) for f in found)
        source = code == task.source_language
        languages[code] = {
            "name": display_name(code),
            "texts": {
                "train": len(first.labelled) if source else len(first.shots[code]),
                "dev": len(materials.dev) if source else 0,
                "test": len(materials.test[code]),
                "parallel": 0 if source else len(first.pairs[code]),
            },
            "shots": 0 if source else max(len(draw.shots[code]) for draw in materials.draws),
            "pairs": 0 if source else len(first.pairs[code]),
            "truncated": sum(f.truncated > 0 for f in found),
            "tokens": tokens,
            "unknown_rate": sum(f.input_ids.count(unknown_id) for f in found) / max(1, tokens),
        }
    return {
        "task": task.name,
        "kind": task.kind,
        "licence": task.licence,
        "citation": task.citation,
        "labels": list(task.labels),
        "source_language": task.source_language,
        "target_languages": list(task.target_languages),
        "languages": languages,
        "leaks_removed": dict(materials.leaks),
        "notes": list(materials.notes),
        "max_length": recipe.backbone.max_length,
    }


# --- One training -----------------------------------------------------------------------------------


def run_unit(
    unit: Unit,
    folder: Path,
    recipe: Recipe,
    materials: Materials,
    backbone: Backbone,
    cut: int,
    pools: Pools,
    accelerator: Accelerator,
    reporter: Reporter,
) -> None:
    """Train, save and evaluate one (shots, draw, seed); ``unit.json`` appears last."""
    task, place = materials.task, folder / "units" / unit.name
    draw = next(draw for draw in materials.draws if (draw.k, draw.draw) == (unit.k, unit.draw))
    source, targets = learning_pools(draw, materials, pools)
    frame = Frame.of(torch.stack(list(source.teacher.values())))
    head = warm_start(source, targets, frame, materials, pools, recipe)
    started = time.monotonic()
    model = grafted(recipe, backbone, cut, task.labels, task.target_languages, source, head, unit.seed)
    model.to(accelerator.device)
    known = [c for pool in (source, *targets) for c in pool.targets.values()]
    weights = class_weights(known, len(task.labels), balanced=recipe.train.class_balanced).to(accelerator.device)
    aligned = recipe.alignment and any(draw.pairs.values())
    epochs = partial(_epoch, source, targets, recipe.train.batch_size, unit.seed, accelerator.device)
    with reporter.task(f"training {unit.name}", len(epochs(0)) * recipe.train.num_train_epochs) as advance:
        state = load_training_state(place / "training.safetensors")
        if state:
            reporter.say(f"{unit.name}: continuing at step {state.step}")
            advance(state.step)
        history = train(
            model,
            epochs,
            task_loss=partial(_weighted, task.loss, weights),
            transfer=Transfer(recipe.alignment, frame.to(accelerator.device)) if aligned else None,
            settings=recipe.train,
            seed=unit.seed,
            state=state,
            save=partial(save_training_state, place / "training.safetensors"),
            validate=partial(_dev_accuracy, pools=pools, materials=materials),
            advance=lambda p: advance(1, f"loss {p.loss:.3f}, {p.tokens_per_second:,.0f} tokens/s"),
            accelerator=accelerator,
        )
    refit(model, source, targets, frame, materials, pools, recipe)
    seconds = time.monotonic() - started
    save_adaptation(place / "adaptation.safetensors", model.adaptation, identity(recipe, backbone, cut, materials))
    scores = evaluate_unit(unit, folder, recipe, model, head, materials, pools)
    write_lines(place / "scores.jsonl", [asdict(s) for s in scores])
    write_lines(place / "training.jsonl", [{"unit": unit.name, **row} for row in history])
    write_json(
        place / "unit.json",
        {"name": unit.name, "seconds": seconds, "dev_accuracy": _dev_accuracy(model, pools=pools, materials=materials)}
        | {"head_strength": head.strength, "head_dev_accuracy": head.dev_accuracy},
    )
    (place / "training.safetensors").unlink(missing_ok=True)


def learning_pools(draw: Draw, materials: Materials, pools: Pools) -> tuple[Pool, list[Pool]]:
    """What each language learns from in a draw; the teacher is the frozen source side of a pair."""
    task = materials.task
    index = {label: i for i, label in enumerate(task.labels)}
    english = pools[task.source_language, "learn"]
    labelled = [example.id for example in draw.labelled]
    source = Pool(
        language=task.source_language,
        encoded=english,
        passed=tuple(labelled),
        targets={e.id: index[str(e.label)] for e in draw.labelled},
        teacher=dict(zip(labelled, english.pooled(labelled), strict=True)),
    )
    targets = []
    for language in task.target_languages:
        pairs, shots = draw.pairs[language], draw.shots[language]
        if not pairs and not shots:
            continue
        teacher = english.pooled([pair[0].id for pair in pairs])
        targets.append(
            Pool(
                language=language,
                encoded=pools[language, "learn"],
                passed=tuple(pair[1].id for pair in pairs),
                targets={e.id: index[str(e.label)] for e in shots},
                teacher={pair[1].id: vector for pair, vector in zip(pairs, teacher, strict=True)},
                shots=tuple(e.id for e in shots),
            )
        )
    return source, targets


def warm_start(
    source: Pool, targets: Sequence[Pool], frame: Frame, materials: Materials, pools: Pools, recipe: Recipe
) -> LinearHead:
    """The head on frozen states, from all labels of the draw; also what "before" means."""
    labelled = [(pool, list(pool.targets)) for pool in (source, *targets) if pool.targets]
    dev = pools[materials.task.source_language, "dev"]
    return fit_head(
        Labelled(
            torch.cat([pool.encoded.pooled(ids) for pool, ids in labelled]),
            [pool.targets[i] for pool, ids in labelled for i in ids],
        ),
        Labelled(dev.pooled([example.id for example in materials.dev]), _dev_targets(materials)),
        frame=frame,
        classes=len(materials.task.labels),
        balanced=recipe.train.class_balanced,
    )


def refit(
    model: GraftedModel,
    source: Pool,
    targets: Sequence[Pool],
    frame: Frame,
    materials: Materials,
    pools: Pools,
    recipe: Recipe,
) -> None:
    """Fit the head again, on the adapted states of all labels of the draw."""
    strength = recipe.train.refit_strength
    if strength is None:
        return
    labelled = [(pool, list(pool.targets)) for pool in (source, *targets) if pool.targets]
    states = [predict_states(model, pool.encoded, ids, pool.language)[1] for pool, ids in labelled]
    language = materials.task.source_language
    dev_ids = [example.id for example in materials.dev]
    dev = predict_states(model, pools[language, "dev"], dev_ids, language)[1]
    head = fit_head(
        Labelled(torch.cat(states), [pool.targets[i] for pool, ids in labelled for i in ids]),
        Labelled(dev, _dev_targets(materials)),
        frame=frame,
        classes=len(materials.task.labels),
        balanced=recipe.train.class_balanced,
        strengths=(strength,),
        weights=[1.0 if pool is source else recipe.train.shot_weight for pool, ids in labelled for _ in ids],
        calibrated=True,
    )
    head.write_to(model.adaptation.head)


def _dev_targets(materials: Materials) -> list[int]:
    index = {label: i for i, label in enumerate(materials.task.labels)}
    return [index[str(example.label)] for example in materials.dev]


def grafted(
    recipe: Recipe,
    backbone: Backbone,
    cut: int,
    labels: Sequence[str],
    languages: Sequence[str],
    source: Pool,
    head: LinearHead,
    seed: int,
) -> GraftedModel:
    """A model at its warm start: frozen stack, new prompts and adapters, the frozen head."""
    torch.manual_seed(seed)
    stack = backbone.stack
    device = next(stack.parameters()).device
    some = source.encoded.table.batch([source.encoded.row[i] for i in source.passed[:32]]).to(device)
    linear = torch.nn.Linear(stack.width, len(labels))
    head.write_to(linear)
    adaptation = build_adaptation(
        prompt=recipe.prompt,
        adapter=recipe.adapter,
        width=stack.width,
        layers=range(cut, stack.num_layers),
        languages=languages,
        head=linear,
        initial=sampled_states(stack, some, torch.Generator().manual_seed(seed)),
    )
    return GraftedModel(stack, adaptation)


def identity(recipe: Recipe, backbone: Backbone, cut: int, materials: Materials) -> Identity:
    """What the saved adaptation needs to be used, and to refuse another backbone."""
    task = materials.task
    return Identity(
        checkpoint=recipe.backbone.checkpoint,
        weights_digest=backbone.weights_digest,
        tokenizer_digest=backbone.tokenizer_digest,
        text_prefix=backbone.text_prefix,
        cut=cut,
        max_length=recipe.backbone.max_length,
        task=task.name,
        kind=task.kind,
        labels=task.labels,
        source_language=task.source_language,
        languages=task.target_languages,
        prompt=recipe.prompt.model_dump() if recipe.prompt else None,
        adapter=recipe.adapter.model_dump() if recipe.adapter else None,
        version=__version__,
    )


def evaluate_unit(
    unit: Unit,
    folder: Path,
    recipe: Recipe,
    model: GraftedModel,
    head: LinearHead,
    materials: Materials,
    pools: Pools,
) -> list[Score]:
    """Score the test sets before and after; write the predictions."""
    task, scores, probes = materials.task, list[Score](), {}
    for language in task.languages:
        examples = materials.test[language]
        if not examples:
            continue
        encoded = pools[language, "test"]
        ids = [example.id for example in examples]
        gold = [str(example.label) for example in examples]
        logits, _ = predict_states(model, encoded, ids, language)
        before = list(task.decode(encoded.features, language, head.logits(encoded.pooled(ids))))
        after = list(task.decode(encoded.features, language, logits))
        rows = [
            {
                "id": example.id,
                "group": example.group,
                "text": example.text_a,
                "text_b": example.text_b,
                "gold": example.label,
                "before": b.value,
                "before_confidence": b.confidence,
                "value": a.value,
                "confidence": a.confidence,
            }
            for example, b, a in zip(examples, before, after, strict=True)
        ]
        write_lines(folder / "predictions" / unit.name / f"{language}.jsonl", rows)
        probes[language] = [
            {"text": example.text_a, "text_b": example.text_b, "logits": row}
            for example, row in zip(examples[:PROBED], logits.tolist(), strict=False)
        ]
        for method, predictions in ((BEFORE, before), (AFTER, after)):
            scores += score(
                gold,
                [prediction.value for prediction in predictions],
                task,
                [example.group for example in examples],
                method=method,
                language=language,
                unit=unit,
                run=folder.name,
            )
    tolerance = 1e-3 if recipe.cache.dtype == "float32" else 0.1  # half precision rounds at the third digit
    write_json(folder / "units" / unit.name / "probe.json", {"tolerance": tolerance, "languages": probes})
    return scores


def _epoch(
    source: Pool, targets: Sequence[Pool], batch_size: int, seed: int, device: torch.device, epoch: int
) -> Sequence[Any]:
    return epoch_steps(source, targets, batch_size=batch_size, seed=seed, epoch=epoch, device=device)


def _weighted(loss: Any, weights: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = loss(logits, targets, weights)
    return result


def _dev_accuracy(model: GraftedModel, *, pools: Pools, materials: Materials) -> float:
    """Accuracy on the source language's development set."""
    task = materials.task
    encoded = pools[task.source_language, "dev"]
    logits, _ = predict_states(model, encoded, [example.id for example in materials.dev], task.source_language)
    predicted = task.decode(encoded.features, task.source_language, logits)
    gold = [str(example.label) for example in materials.dev]
    return task.metrics["accuracy"](gold, [prediction.value for prediction in predicted])
