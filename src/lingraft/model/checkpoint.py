"""What is saved: the trained tensors, the backbone's identity, and all that prediction needs.

One safetensors file per adaptation; its metadata is a JSON text. The backbone itself is never
stored: loading compares digests and refuses another one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..backbones import Precision
from ..backbones.loading import Backbone
from ..core.errors import CheckpointError
from ..recipe.settings import Block
from ..tasks.kinds import kind_of
from .adaptation import Adaptation, build_adaptation
from .heads import build_head, restore_text_classifiers
from .tensor_files import write_tensors

FORMAT = "lingraft-adaptation-1"

UNFROZEN = "unfrozen."
"""What the names of trained copies of the backbone's own parameters begin with."""


@dataclass(frozen=True)
class Identity:
    """What an adaptation was trained for and on."""

    checkpoint: str
    weights_digest: str
    tokenizer_digest: str
    text_prefix: str
    cut: int
    max_length: int
    task: str
    kind: str
    labels: tuple[str, ...]
    source_language: str
    languages: tuple[str, ...]
    prompt: dict[str, Any] | None
    adapter: dict[str, Any] | None
    version: str
    paired: bool = False
    """Whether the task compares two texts."""
    kind_options: dict[str, Any] = field(default_factory=dict)
    """What the kind of task is built with, beside the labels."""
    precision: Precision = "float32"
    """Of the backbone's matrix products."""


def save_adaptation(path: Path, adaptation: nn.Module, identity: Identity) -> None:
    """Write the trained tensors to ``path``, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in adaptation.state_dict().items()}
    # One key: safetensors writes several in random order, and equal runs should be equal files.
    about = {"format": FORMAT, "identity": asdict(identity)}
    write_tensors(path, tensors, {"lingraft": json.dumps(about, ensure_ascii=False)})


def read_identity(path: Path) -> Identity:
    """Return who an adaptation is, without reading its tensors.

    Raises:
        CheckpointError: There is no such file, or it is not one of ours.
    """
    return _read(path)[1]


def load_adaptation(path: Path, backbone: Backbone) -> tuple[Adaptation, Identity]:
    """Rebuild a trained adaptation for ``backbone``.

    Raises:
        CheckpointError: It was trained on another backbone or tokenizer, is damaged, or is not ours to compute.
    """
    tensors, identity = _read(path)
    _check_backbone(path, identity, backbone)
    for part, described in (("prompt", identity.prompt), ("adapter", identity.adapter)):
        if described is None and any(name.startswith(f"{part}.") for name in tensors):
            raise CheckpointError(
                f"{path} holds a {part} that PEFT made, which works inside PEFT alone; of a comparison, load a frozen "
                "head, peft-lora, or a method of lingraft's"
            )
    stack = backbone.stack
    adaptation = build_adaptation(
        prompt=Block.model_validate(identity.prompt) if identity.prompt else None,
        adapter=Block.model_validate(identity.adapter) if identity.adapter else None,
        stack=stack,
        cut=identity.cut,
        languages=identity.languages,
        head=build_head(kind_of(identity.kind, identity.labels, identity.kind_options), stack),
        initial=lambda how, layer, count: torch.zeros(count, stack.width),
        unfrozen=[name.removeprefix(UNFROZEN).replace("/", ".") for name in tensors if name.startswith(UNFROZEN)],
    )
    for language, classifier in restore_text_classifiers(tensors, str(path)):
        adaptation.add_text_classifier(language, classifier)
    try:
        adaptation.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not hold the tensors that its recipe promises: {error}") from None
    return adaptation.eval(), identity


def continue_from(folder: Path, adaptation: nn.Module, own: Identity, backbone: Backbone) -> None:
    """Give new parts the values that a finished run learned; those of languages that it did not know keep theirs.

    Args:
        folder: The run.
        adaptation: The new parts.
        own: What they are for.
        backbone: The frozen model.

    Raises:
        CheckpointError: The run was for something else, or has other parts.
    """
    path = folder / "adaptation.safetensors"
    tensors, theirs = _read(path)
    _check_backbone(path, theirs, backbone)
    for what in ("kind", "labels", "cut", "prompt", "adapter"):
        there, here = getattr(theirs, what), getattr(own, what)
        if there != here:
            raise CheckpointError(
                f"train.continue_from: {folder} was trained with {what} {there!r}, this recipe has {here!r}; make them "
                "the same"
            )
    values = adaptation.state_dict()
    strange = [name for name in values if name not in tensors and not _of_language(name)]
    if strange:
        raise CheckpointError(f"train.continue_from: {folder} has nothing for {strange[0]}; freeze the same layers")
    adaptation.load_state_dict({name: tensors.get(name, value) for name, value in values.items()})


def _of_language(parameter: str) -> bool:
    """Return whether a parameter belongs to one language."""
    return ".language." in parameter


def _check_backbone(path: Path, identity: Identity, backbone: Backbone) -> None:
    for what, trained, given in (
        ("backbone", identity.weights_digest, backbone.weights_digest),
        ("tokenizer", identity.tokenizer_digest, backbone.tokenizer_digest),
    ):
        if trained != given:
            raise CheckpointError(
                f"{path} was trained on another {what} than {backbone.name}: digest {trained} there, {given} here; "
                f"load it onto {identity.checkpoint}"
            )


def _read(path: Path) -> tuple[dict[str, Tensor], Identity]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"there is no {path}; give the folder of a finished run") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); run the recipe again to train it anew") from None
    try:
        about = json.loads(metadata.get("lingraft", "{}"))
        if about.get("format") != FORMAT:
            raise CheckpointError(f"{path}: expected the format {FORMAT}, found {about.get('format')}")
        values = about["identity"]
        for key in ("labels", "languages"):
            values[key] = tuple(values[key])
        return tensors, Identity(**values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: its description is not one that this version reads ({error}); run the recipe again"
        ) from None
