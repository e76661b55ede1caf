"""The composition root: from a recipe to a finished run folder, one function per stage.

data -> encode -> for each (shots, draw, seed): train, save, evaluate -> finish. A stage that is
done is not repeated: the cache keeps the states, and each training keeps its folder.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedTokenizerBase

from .adapt import run_unit
from .alignment import alignment
from .backbones.loading import Backbone, load_backbone
from .config import Recipe
from .encode import encode, usual_cut
from .errors import ConfigError, RunError
from .finish import picture, summarise, verify_in_fresh_process
from .freezing import freezing
from .materials import Materials, gather
from .mined import mined_entries
from .prepared import Pools, Prepared
from .progress import Reporter
from .records import IDS, Example, Features
from .report import write_model_card, write_report
from .retention import retention
from .run_files import read_object
from .run_folder import opened, units, write_json
from .wording import is_non_commercial


def run(recipe: Recipe, *, quiet: bool = False) -> Path:
    """Run a recipe to its end, or continue where it stopped; returns the run folder.

    Raises:
        LingraftError: With one clear message; what was finished stays finished.
    """
    reporter = Reporter(quiet=quiet)
    with opened(recipe.output_dir, recipe) as folder:
        if next(folder.glob("*/method.json"), None) or (folder / "comparison.json").exists():
            raise RunError(f"{folder} holds a comparison; give the run a folder of its own: output_dir=…")
        if (folder / "README.md").exists():  # written last, after the check of what was saved
            reporter.say(f"{folder} is finished already; delete it to run the recipe anew")
            return folder
        prepared, card, encoding = prepare(recipe, reporter)
        refuse_other_data(folder, card)
        write_json(folder / "data.json", card)
        backbone, accelerator = prepared.backbone, prepared.accelerator
        for unit in units(recipe):
            if not (folder / "units" / unit.name / "unit.json").exists():
                run_unit(unit, folder, prepared, reporter)
        summarise(folder, recipe, backbone, prepared.cut, encoding)
        reporter.say("comparing with the frozen model, and loading in a fresh process what was saved")
        shown = (folder, recipe, prepared.materials, backbone, prepared.pools, accelerator.device)
        write_json(folder / "states.json", picture(*shown))
        write_json(folder / "retention.json", retention(*shown))
        verify_in_fresh_process(folder)
        write_report(folder)
        write_model_card(folder)
    return folder


def prepare(recipe: Recipe, reporter: Reporter) -> tuple[Prepared, dict[str, Any], float]:
    """All that the trainings of a recipe share: data, backbone, frozen states.

    Returns:
        The stage's result, the content of ``data.json``, and the seconds that encoding took.
    """
    materials = gather(recipe)
    if is_non_commercial(materials.task.licence):
        reporter.say(f"the data of {materials.task.name} may not be used commercially: {materials.task.licence}")
    backbone, accelerator = load(recipe, reporter)
    if materials.unlabelled:
        mined = mined_entries(materials, backbone, recipe.output_dir, accelerator.device, reporter.say)
        materials = gather(recipe, mined)
    cut = resolved_cut(recipe, backbone.stack.num_layers)
    features = tokenise(materials, backbone.tokenizer, backbone.text_prefix, recipe)
    started = time.monotonic()
    pools = encode_all(features, backbone, recipe, cut, accelerator.device, reporter)
    encoding = time.monotonic() - started
    card = data_card(materials, features, backbone, recipe)
    return Prepared(recipe, materials, backbone, cut, pools, accelerator), card, encoding


def load(recipe: Recipe, reporter: Reporter) -> tuple[Backbone, Accelerator]:
    """The frozen model, on the device that the recipe asks for."""
    reporter.say(f"loading {recipe.backbone.checkpoint}")
    accelerator = Accelerator(cpu=recipe.device == "cpu")
    if recipe.device not in ("auto", accelerator.device.type):
        raise ConfigError([f"device: {recipe.device} was asked for, this machine offers {accelerator.device.type}"])
    backbone = load_backbone(
        recipe.backbone.checkpoint, text_prefix=recipe.backbone.text_prefix, precision=recipe.backbone.precision
    )
    if recipe.backbone.max_length > backbone.max_length:
        raise ConfigError(
            [f"backbone.max_length: {recipe.backbone.max_length} is more than the checkpoint's {backbone.max_length}"]
        )
    backbone.stack.to(accelerator.device)
    return backbone, accelerator


def resolved_cut(recipe: Recipe, num_layers: int) -> int:
    """The cut as a number; see ``BackboneSettings.cut``.

    Raises:
        ConfigError: What the recipe lets learn lies below it, nothing is left above it, or an alignment
            loss looks where nothing learns.
    """
    highest = freezing.build(recipe.freezing.name, recipe.freezing.options).highest_cut(num_layers)
    usual = 0 if recipe.prompt and recipe.prompt.name == "input" else usual_cut(num_layers)
    cut = min(usual, highest) if recipe.backbone.cut == "auto" else recipe.backbone.cut
    if recipe.backbone.cut != "auto" and highest == IDS:
        raise ConfigError([f"backbone.cut: freezing {recipe.freezing.name} trains everything; leave the cut out"])
    if cut >= num_layers:
        raise ConfigError(
            [f"backbone.cut: {cut} leaves nothing to train above it; the checkpoint has {num_layers} layers"]
        )
    if cut > highest:
        raise ConfigError(
            [
                f"backbone.cut: {cut} is above layer {highest + 1}, which freezing {recipe.freezing.name} trains; "
                f"set it to {highest} or leave it out"
            ]
        )
    if problems := _without_gradient(recipe, max(0, cut), highest, num_layers):
        raise ConfigError(problems)
    return cut


def _without_gradient(recipe: Recipe, cut: int, thawed: int, num_layers: int) -> list[str]:
    """Alignment losses on states that nothing trained has a part in; ``thawed`` is the last layer that never learns."""
    parts = recipe.prompt is not None or recipe.adapter is not None
    lowest = cut if parts else max(0, thawed)
    problems = []
    for i, block in enumerate(recipe.alignment):
        layer = num_layers if block.layer is None else block.layer
        if layer > num_layers:
            problems.append(f"alignment.{i}.layer: {layer}, but the checkpoint has {num_layers} layers")
        elif lowest >= num_layers and "predictions" not in alignment.build(block.name, block.options).needs:
            problems.append(
                f"alignment.{i}: nothing learns but the head, so {block.name} on states has no gradient; add a prompt "
                "or an adapter, or set alignment: []"
            )
        elif layer <= lowest < num_layers:
            why = f"the cut is {cut}" if lowest == cut else f"what learns begins at layer {lowest + 1}"
            problems.append(
                f"alignment.{i}.layer: states after layer {layer} are frozen ({why}), so a loss on them has no "
                f"gradient; choose a layer from {lowest + 1} to {num_layers}, or lower backbone.cut"
            )
    return problems


def tokenise(
    materials: Materials, tokenizer: PreTrainedTokenizerBase, text_prefix: str, recipe: Recipe
) -> dict[tuple[str, str], list[Features]]:
    """Features of every text that a run needs, by language and purpose."""
    task = materials.task
    wanted: dict[tuple[str, str], Sequence[Example]] = {}
    for language in task.languages:
        wanted[language, "learn"] = materials.learn(language)
        wanted[language, "test"] = materials.test[language]
    wanted[task.source_language, "dev"] = materials.dev
    return {
        key: task.kind.encode(examples, tokenizer, recipe.backbone.max_length, text_prefix)
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


def refuse_other_data(folder: Path, card: Mapping[str, Any]) -> None:
    """A run that continues must read the texts and the backbone that it began with.

    Raises:
        RunError: It does not.
    """
    before = read_object(folder / "data.json").get("digest")
    if before not in (None, card["digest"]):
        raise RunError(
            f"{folder} was begun with other data or another backbone (digest {before[:12]} then, "
            f"{card['digest'][:12]} now); choose another output_dir, or delete that folder"
        )


def data_digest(features: Mapping[tuple[str, str], Sequence[Features]], backbone: Backbone) -> str:
    """SHA-256 of all that a run reads: texts as token ids, labels, backbone, tokenizer."""
    digest = hashlib.sha256(f"{backbone.weights_digest} {backbone.tokenizer_digest}".encode())
    for key in sorted(features):
        digest.update(repr((key, [(f.example_id, f.input_ids, f.target) for f in features[key]])).encode())
    return digest.hexdigest()


def data_card(
    materials: Materials,
    features: Mapping[tuple[str, str], Sequence[Features]],
    backbone: Backbone,
    recipe: Recipe,
) -> dict[str, Any]:
    """Counts, licences and what was removed: the content of ``data.json``."""
    from .data.coverage import coverage
    from .data.languages import display_name
    from .data.lexicon import CODE_SWITCHING

    task, first = materials.task, materials.draws[0]
    languages = {}
    for code in task.languages:
        found = [f for key, group in features.items() if key[0] == code for f in group]
        tokens = sum(len(f.input_ids) for f in found)
        source = code == task.source_language
        pairs = () if source else first.pairs[code]
        covered = coverage(materials.written(code), backbone.tokenizer)
        languages[code] = {
            "name": display_name(code),
            "texts": {
                "train": len(first.labelled) if source else len(first.shots[code]),
                "dev": len(materials.dev) if source else 0,
                "test": len(materials.test[code]),
                "parallel": len(pairs),
            },
            "shots": 0 if source else max(len(draw.shots[code]) for draw in materials.draws),
            "pairs": len(pairs),
            "switched": sum(pair[1].origin == CODE_SWITCHING for pair in pairs),
            "truncated": sum(f.truncated > 0 for f in found),
            "tokens": tokens,
            "unknown_rate": covered.unknown_rate,
            "pieces_per_word": covered.pieces_per_word,
        }
    return {
        "task": task.name,
        "kind": task.kind.name,
        "metrics": list(task.kind.metrics),
        "licence": task.licence,
        "citation": task.citation,
        "labels": list(task.labels),
        "source_language": task.source_language,
        "target_languages": list(task.target_languages),
        "languages": languages,
        "leaks_removed": dict(materials.leaks),
        "notes": list(materials.notes),
        "max_length": recipe.backbone.max_length,
        "digest": data_digest(features, backbone),
    }
