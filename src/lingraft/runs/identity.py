"""What a trial was made of: whatever decides its numbers, apart from shots, draw and seed, as digests.

A folder grows by seeds, draws and shots, so trials of one table may be made on different days. They belong
together if they have one identity: the same recipe (shots, draws and seeds apart), the same meaning of a
training (:data:`MEANING`), and the same content of all that is read, be it examples, pairs, unlabelled text,
a mined lexicon, a run or an adapter to start from, or the backbone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..backbones import Precision
from ..backbones.loading import Backbone
from ..core.errors import RunError
from ..core.examples import Example, as_json
from ..core.files import is_leftover, read_object, write_json
from ..core.records import Trial
from ..model.checkpoint import adaptation_path
from ..recipe.settings import Recipe
from ..tasks.material import Draw, Materials
from ..training.alignment import names_that_need
from ..training.alignment.word_aligner import METHOD

MEANING = 8
"""Raised whenever the same recipe on the same data would learn or score something else than before."""

FREE = (
    *("compare.", "stability.", "shot_curve.", "source_choice.", "tune."),
    *(
        "device",
        "output_dir",
        "cache.max_gigabytes",
        "train.gradient_checkpointing",
        "backbone.weights",
        "notes",
        "notes.",
    ),
)
"""Settings that decide no number: where a run computes, what is kept, what else it is compared with, remarks."""

GROWS = ("seeds", "seeds.", "orders", "orders.", "shots.k", "shots.k.", "shots.draws")
"""Settings that say which trials there are."""

READ_AFTER = "layer that texts are read after"

DECODER = "decoder that writes the answers"

ADAPTED = 2
"""What is learnt beside a decoder: parts in the encoder (1, not written), and in the decoder (2)."""

OF_BACKBONE = ("backbone", "tokenizer", "precision", READ_AFTER, DECODER)
"""What is known only of a backbone that is loaded; the last two, where fewer layers than all are read, and where an
encoder-decoder answers in words."""

OFF = (None, False)

LATER = {
    **dict.fromkeys(
        (
            "shots.folds",
            "parallel.augmentation.inflections",
            "pseudo",
            "consistency",
            "pseudo.languages",
            "stability",
            "shot_curve",
            "tune",
            "source_choice",
            "backbone.layers",
        ),
        OFF,
    ),
    "train.ensemble": (1,),
    "backbone.pooling": ("mean",),
}
"""Settings that there were not from the first, with the values that change nothing; with these they are left out, for
older trials know none."""

Identity = Mapping[str, str]
"""What decides a trial's numbers, by what people call it, to its digest."""


def deciding_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a recipe, as plain data, that decide the numbers of a trial: dotted key to value."""
    return {
        key: value
        for key, value in flatten(values).items()
        if not _is_among(key, (*FREE, *GROWS)) and value not in LATER.get(key, ())
    }


def _is_among(key: str, names: Iterable[str]) -> bool:
    return any(key == name or (name.endswith(".") and key.startswith(name)) for name in names)


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Return nested mappings and lists as one mapping of dotted keys."""
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = {str(i): item for i, item in enumerate(value)}.items()
    else:
        return {path: value}
    return {
        key: leaf for name, item in items for key, leaf in flatten(item, f"{path}.{name}" if path else name).items()
    }


def trial_identities(
    trials: Iterable[Trial], recipe: Recipe, materials: Materials, backbone: Backbone | None = None
) -> dict[Trial, Identity]:
    """Describe what each trial is made of.

    Args:
        trials: Shots, draws and seeds.
        recipe: Their recipe.
        materials: All that they read.
        backbone: The frozen model; without it, only what was read from files is described.
    """
    shared = _of_settings_and_data(recipe, materials)
    if backbone is not None:
        whole = backbone.checkpoint_digest or backbone.weights_digest
        shared |= {"backbone": whole, "tokenizer": backbone.tokenizer_digest, "precision": backbone.stack.precision}
        if backbone.decoder_digest:
            shared[DECODER] = f"{backbone.decoder_digest} {ADAPTED}"
        if whole != backbone.weights_digest:
            shared[READ_AFTER] = str(backbone.stack.num_layers)
    of_draw = {(draw.k, draw.draw): _of_draw(draw) for draw in materials.draws}
    return {trial: shared | of_draw[trial.k, trial.draw] for trial in trials}


def _of_settings_and_data(recipe: Recipe, materials: Materials) -> dict[str, str]:
    """Return what all trials have in common, the backbone apart."""
    found = {"settings": settings_digest(recipe)}
    found["meaning of a training"] = str(MEANING)
    if names_that_need("word_alignment", recipe.alignment):
        found["way to align words"] = METHOD
    found["development set"] = _of_examples(materials.dev)
    for language, examples in materials.test.items():
        found[f"test set of {language}"] = _of_examples(examples)
    for language, texts in materials.unlabelled.items():
        found[f"unlabelled text of {language}"] = _digest(list(texts))
        mined = recipe.output_dir / "mined" / f"{language}.tsv"
        if mined.exists():
            found[f"mined lexicon of {language}"] = hashlib.sha256(mined.read_bytes()).hexdigest()
    return found | {f"files of {name}": _of_folder(folder) for name, folder in _folders(recipe).items()}


def settings_digest(recipe: Recipe) -> str:
    """Return the digest of the settings that decide the numbers of a trial."""
    return _digest(deciding_settings(recipe.model_dump(mode="json", by_alias=True)))


def refuse_changed(folder: Path, trials: Iterable[Trial], identity_of: Mapping[Trial, Identity]) -> None:
    """Refuse to go on in a folder whose trials were made of something else.

    Args:
        folder: Of the run.
        trials: Those that the recipe wants.
        identity_of: What each would be made of now; without a backbone, none is compared.

    Raises:
        RunError: A trial that is there differs; with what has changed.
    """
    for trial in trials:
        place, now = folder / "trials" / trial.name, identity_of[trial]
        if not has_begun(place):
            continue
        before = _noted(place / "identity.json")
        if not before:
            raise RunError(
                f"{place} does not say what it was made of (identity.json is missing or damaged); choose another "
                "output_dir, or delete that trial's folder, and it is trained again"
            )
        asked = {what for what in before.keys() | now.keys() if what in now or what not in OF_BACKBONE}
        changed = sorted(what for what in asked if before.get(what) != now.get(what))
        if changed:
            raise RunError(
                f"{folder}: since {trial.name} was trained, these have changed: {', '.join(changed)}; its numbers "
                f"would not belong with those of now. Choose another output_dir, where train.continue_from={folder} "
                "would start from what was learnt here, or delete that folder"
            )


def has_begun(place: Path) -> bool:
    """Return whether there is more in a trial's folder than what it was to be made of, which is written before."""
    left = (path for path in place.rglob("*") if path.is_file() and not is_leftover(path))
    return any(path.name != "identity.json" for path in left)


def _noted(path: Path) -> Mapping[str, Any]:
    """Return what a trial was made of; nothing where that is not written down, or cannot be read any more."""
    try:
        return read_object(path)
    except RunError:
        return {}


def precision_of(folder: Path) -> Precision | None:
    """Return what the first trial of a run, or of a comparison, was computed in; None where there is none yet."""
    for pattern in ("trials/*/identity.json", "*/trials/*/identity.json"):
        for path in sorted(folder.glob(pattern)):
            found = _noted(path).get("precision")
            if found in ("float32", "bfloat16"):
                known: Precision = found
                return known
    return None


def note_identity(folder: Path, trial: Trial, identity: Identity) -> None:
    """Write down what a trial is made of, before it is made."""
    write_json(folder / "trials" / trial.name / "identity.json", identity)


def _of_draw(draw: Draw) -> dict[str, str]:
    found = {"labelled examples": _of_examples(draw.labelled)}
    if sides := draw.labelled_sides(draw.pairs):
        found["labels of translations"] = _of_examples(sides)
    for language, shots in draw.shots.items():
        found[f"shots of {language}"] = _of_examples(shots)
    for language, pairs in draw.pairs.items():
        found[f"pairs of {language}"] = _of_examples([example for pair in pairs for example in pair])
    for language, made in draw.pseudo.items():
        found[f"pseudo-data of {language}"] = _of_examples(made)
    for language, rounds in draw.copies.items():
        copies = [copy.example for copies in rounds for copy in copies]
        found[f"code-switched copies in {language}"] = _of_examples(copies)
    return found


def _of_examples(examples: Sequence[Example]) -> str:
    return _digest([as_json(example) for example in examples])


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _folders(recipe: Recipe) -> dict[str, Path]:
    """Return what training starts from, where that was made elsewhere: setting to folder."""
    begun = recipe.train.continue_from
    named: dict[str, Any] = {"train.continue_from": None if begun is None else adaptation_path(begun).parent}
    if recipe.adapter is not None:
        named["adapter.start"] = recipe.adapter.options.get("start")
        folders = recipe.adapter.options.get("folders")
        for code, folder in folders.items() if isinstance(folders, Mapping) else ():
            named[f"adapter.folders.{code}"] = folder
    paths = {name: Path(str(folder)).expanduser() for name, folder in named.items() if folder}
    return {name: path for name, path in paths.items() if path.is_dir()}


def _of_folder(folder: Path) -> str:
    """Return the digest of the weights and configurations that lie directly in a folder."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("adapter_config.json")]):
        with path.open("rb") as file:
            digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
    return digest.hexdigest()
