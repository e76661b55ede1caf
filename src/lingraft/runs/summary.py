"""The end of a run: one adaptation is chosen, everything is counted, pictured, proven and reported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

from torch import nn

from ..backbones import LayerStack
from ..backbones.digests import weights_digest
from ..backbones.encoder_decoder import EncoderDecoderStack
from ..backbones.loading import Backbone
from ..core.errors import CheckpointError, RunError
from ..core.files import read_lines, write_atomically, write_json, write_lines
from ..core.records import Trial
from ..core.version import __version__
from ..model.adapters.lora import LoraAdapter
from ..model.adapters.peft_files import export_peft
from ..model.checkpoint import load_adaptation
from ..model.comparison.classifier import SAVED as COMPARISON
from ..model.ensembles import SAVED as ENSEMBLES
from ..model.heads import text_classifiers
from ..recipe.settings import Recipe
from ..results.findings import reliability
from ..results.metrics.calibration import expected_calibration_error
from ..results.run_files import read_predictions
from ..results.schemas import ALL_LAYERS, EPOCH, FORMAT, SCORE
from ..results.source_falls import is_fall
from ..training.finished import read_facts
from .folder import trials_of
from .selection import select_trial

THE_REST = "embeddings and the rest"


def summarise(folder: Path, recipe: Recipe, backbone: Backbone, cut: int, encoding_seconds: float) -> None:
    """Gather the trials' files into those of the run: scores, learning curves, the chosen adaptation.

    Args:
        folder: Of the run, with all its trials.
        recipe: Of the run.
        backbone: The frozen model.
        cut: Layer that training began above.
        encoding_seconds: What encoding took.
    """
    done = trials_of(recipe)
    for name, schema in (("scores.jsonl", SCORE), ("training.jsonl", EPOCH)):
        rows = [row for u in done for row in read_lines(folder / "trials" / u.name / name, schema)]
        write_lines(folder / name, rows)
    chosen = select_trial(folder, done)
    parts = folder / "trials" / chosen.name / "adaptation.safetensors"
    write_atomically(folder / "adaptation.safetensors", lambda temporary: _copy(parts, temporary))
    for answers in (folder / "trials" / chosen.name).glob("answers.*.jsonl"):
        write_atomically(folder / answers.name, partial(_copy, answers))
    adaptation, _ = load_adaptation(parts, backbone)
    whole = not backbone.checkpoint_digest  # PEFT would put the LoRA into all layers of the checkpoint
    if whole and isinstance(adaptation.adapter, LoraAdapter) and find_spec("peft"):
        export_peft(adaptation.adapter, backbone.stack, folder / "peft_lora", recipe.backbone.checkpoint)
    facts = {trial.name: read_facts(folder, trial.name) for trial in done}
    digest_after = prove_frozen(backbone)
    training_seconds = sum(fact["seconds"] for fact in facts.values())
    summary = {
        "format": FORMAT,
        "lingraft": __version__,
        "backbone": {
            "name": backbone.name,
            "weights_digest": backbone.weights_digest,
            "digest_after": digest_after,
            "parameters": count(backbone.stack),
            "licence": backbone.licence,
            "layers": backbone.stack.num_layers,
            "cut": cut,
            "width": backbone.stack.width,
        },
        "parameters": trained_parts(adaptation),
        "frozen": frozen_parts(backbone.stack, cut, adaptation),
        "calibration": calibration(folder, done),
        "seconds": {
            "encode": encoding_seconds,
            "train": training_seconds,
            "total": encoding_seconds + training_seconds,
        },
        "selected_trial": chosen.name,
        "trials": facts,
        "source_falls": {
            name: fact["source_change"]
            for name, fact in facts.items()
            if fact.get("source_change") and is_fall(fact["source_change"])
        },
    }
    write_json(folder / "summary.json", summary)


def prove_frozen(backbone: Backbone) -> str:
    """Compare the digest of the backbone's weights with that from before any training; returns it.

    Raises:
        RunError: They differ.
    """
    after = weights_digest(backbone.stack)
    decoder = backbone.stack.decoder if isinstance(backbone.stack, EncoderDecoderStack) else None
    if decoder is not None and weights_digest(decoder) != backbone.decoder_digest:
        raise RunError(
            f"the weights of the decoder of {backbone.name} have changed since they were loaded, although nothing may "
            "write to them: do not trust this run, and report it"
        )
    if after != backbone.weights_digest:
        raise RunError(
            f"the weights of {backbone.name} have changed since they were loaded (digest {backbone.weights_digest} "
            f"before training, {after} after), although nothing may write to them: do not trust this run, and report it"
        )
    return after


def trained_parts(adaptation: nn.Module) -> list[dict[str, Any]]:
    """Count parameters of the task part, each language part, the head, and copies of the backbone's own."""
    counts: Counter[tuple[str, str]] = Counter()
    for name, parameter in adaptation.named_parameters():
        counts[_part(name)] += parameter.numel()
    return [{"part": part, "name": name, "count": n, "trained": True} for (part, name), n in counts.items()]


def _part(parameter: str) -> tuple[str, str]:
    """Return the part that a parameter of the adaptation belongs to, and what the part is made of."""
    kind, *inner = parameter.split(".")
    if kind == "head":
        return "head", "head"
    if kind == "lora":
        return ALL_LAYERS, "lora"
    if kind == COMPARISON:
        return "task", "comparison classifier"
    if kind == ENSEMBLES:
        of_map = inner[1] == "map"
        title = text_classifiers.build(inner[2]).title if inner[1] == "classifiers" else "map" if of_map else "weights"
        return f"language:{inner[0]}", title
    if kind == "unfrozen":
        return "backbone", "backbone layers" if _backbone_name(parameter).startswith("layers.") else THE_REST
    if inner[:1] == ["decoder"]:  # adapter.decoder.language.CODE.LAYER
        kind, *inner = f"{kind}.decoder", *inner[1:]
    if inner[:1] == ["gate"]:  # prompt.gate.language.CODE.LAYER
        inner = inner[1:]
    return (f"language:{inner[1]}", f"{kind}.language") if inner[0] == "language" else ("task", f"{kind}.task")


def _backbone_name(parameter: str) -> str:
    """Return the backbone's name of a parameter that was trained as a copy."""
    return parameter.removeprefix("unfrozen.").replace("/", ".")


def frozen_parts(stack: LayerStack, cut: int, adaptation: nn.Module) -> list[dict[str, Any]]:
    """Count parameters of the frozen backbone: embeddings, layers below and above the cut; without unfrozen ones."""
    unfrozen = {_backbone_name(name) for name, _ in adaptation.named_parameters() if name.startswith("unfrozen.")}
    layers, cut = len(stack.layers), max(0, cut)
    until = " until the last epochs" if getattr(adaptation, "lora", None) is not None else ""
    below, above = f"layers 1–{cut}, computed once{until}", f"layers {cut + 1}–{layers}, computed at every step"
    counts: Counter[str] = Counter()
    for name, size in stack.sizes().items():
        of_layer = name.startswith("layers.")
        row = THE_REST if not of_layer else below if int(name.split(".")[1]) < cut else above
        counts[row] += 0 if name in unfrozen else size
    return [{"name": name, "count": counts[name]} for name in (THE_REST, below, above) if counts[name]]


def count(module: nn.Module) -> int:
    """Count parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def calibration(folder: Path, done: list[Trial]) -> dict[str, dict[str, float]]:
    """Return the expected calibration error per language before and after, mean over trials."""
    errors: dict[str, dict[str, list[float]]] = {}
    for trial in done:
        for path in sorted((folder / "predictions" / trial.name).glob("*.jsonl")):
            rows = read_predictions(path)
            of_language = errors.setdefault(path.stem, {"before": [], "after": []})
            for when, found in of_language.items():
                error = expected_calibration_error(reliability(rows, when))
                found += [] if error is None else [error]
    return {language: {when: fmean(values) for when, values in by.items() if values} for language, by in errors.items()}


def verify_in_fresh_process(folder: Path) -> dict[str, Any]:
    """Reload what was saved in a new process and compare logits; returns the largest difference.

    Raises:
        CheckpointError: They differ, or the saved run does not load.
    """
    command = [sys.executable, "-m", "lingraft.serving.verification", str(folder)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        raise CheckpointError(f"the saved adaptation does not give back what was trained: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
