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

from .adapt import Pools, Prepared, run_unit
from .backbones.loading import Backbone, load_backbone
from .config import Recipe
from .encode import encode
from .errors import ConfigError, RunError
from .finish import picture, summarise, verify_in_fresh_process
from .materials import Materials, gather
from .progress import Reporter
from .records import Features, PairExample
from .report import write_model_card, write_report
from .run_files import read_object
from .run_folder import opened, units, write_json


def run(recipe: Recipe, *, quiet: bool = False) -> Path:
    """Run a recipe to its end, or continue where it stopped; returns the run folder.

    Raises:
        LingraftError: With one clear message; what was finished stays finished.
    """
    reporter = Reporter(quiet=quiet)
    with opened(recipe.output_dir, recipe) as folder:
        if (folder / "README.md").exists():  # written last, after the check of what was saved
            reporter.say(f"{folder} is finished already; delete it to run the recipe anew")
            return folder
        materials = gather(recipe)
        backbone, accelerator = load(recipe, reporter)
        cut = resolved_cut(recipe, backbone.stack.num_layers)
        features = tokenise(materials, backbone.tokenizer, backbone.text_prefix, recipe)
        started = time.monotonic()
        pools = encode_all(features, backbone, recipe, cut, accelerator.device, reporter)
        card = data_card(materials, features, backbone, recipe)
        refuse_other_data(folder, card)
        write_json(folder / "data.json", card)
        encoding = time.monotonic() - started
        prepared = Prepared(recipe, materials, backbone, cut, pools, accelerator)
        for unit in units(recipe):
            if not (folder / "units" / unit.name / "unit.json").exists():
                run_unit(unit, folder, prepared, reporter)
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
        "digest": data_digest(features, backbone),
    }
