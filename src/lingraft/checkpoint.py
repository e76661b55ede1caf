"""What is saved: the trained tensors, the backbone's identity, and all that prediction needs.

One safetensors file per adaptation; its metadata is a JSON text. The backbone itself is never
stored: loading compares digests and refuses another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .backbones import Precision
from .backbones.loading import Backbone
from .config import Block
from .errors import CheckpointError
from .folders import write_atomically
from .lexical import lexical_heads
from .model import Adaptation, build_adaptation
from .tasks.known_kinds import kind_of
from .train import TrainingState

FORMAT = "lingraft-adaptation-1"

THAWED = "unfrozen."
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
    outputs: int = 0
    """Of the head; 0 in older files: one for each label."""
    kind_options: dict[str, Any] = field(default_factory=dict)
    """What the kind of task is built with, beside the labels."""
    precision: Precision = "float32"
    """Of the backbone's matrix products."""


def save_adaptation(path: Path, adaptation: nn.Module, identity: Identity) -> None:
    """Write the trained tensors to ``path``, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in adaptation.state_dict().items()}
    # One key: safetensors writes several in random order, and equal runs should be equal files.
    about = {"format": FORMAT, "identity": asdict(identity)}
    _write(path, tensors, {"lingraft": json.dumps(about, ensure_ascii=False)})


def read_identity(path: Path) -> Identity:
    """Who an adaptation is, without reading its tensors.

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
        head=nn.Linear(stack.width, identity.outputs or len(identity.labels)),
        initial=lambda how, layer, count: torch.zeros(count, stack.width),
        unfrozen=[name.removeprefix(THAWED).replace("/", ".") for name in tensors if name.startswith(THAWED)],
        per_token=kind_of(identity.kind, identity.labels, identity.kind_options).per_token,
    )
    adaptation.lexical.update(lexical_heads(tensors, str(path)))
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
    """Whether a parameter belongs to one language."""
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


def save_training_state(path: Path, state: TrainingState) -> None:
    """Write where training stands, atomically and with a checksum; a killed run continues from here."""
    tensors = {f"parameter/{name}": tensor for name, tensor in state.parameters.items()}
    tensors |= {f"averaged/{name}": tensor for name, tensor in state.averaged.items()}
    tensors |= {f"teacher/{name}": tensor for name, tensor in state.teacher.items()}
    for name, moments in state.optimizer.items():
        tensors |= {f"optimizer/{key}/{name}": tensor for key, tensor in moments.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about: dict[str, Any] = {"step": state.step, "history": state.history, "sums": state.sums, "balance": state.balance}
    about["seconds"] = state.seconds
    text = json.dumps(about)
    _write(path, tensors, {"lingraft": json.dumps({"sha256": _digest(text, tensors), "state": text})})


def load_training_state(path: Path, say: Callable[[str], None] = lambda sentence: None) -> TrainingState | None:
    """Read a saved training state; None where there is none, or none that is whole, which is told by ``say``."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            saved = json.loads((file.metadata() or {})["lingraft"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if saved["sha256"] != _digest(saved["state"], tensors):
            raise ValueError("its checksum differs")
        about = json.loads(saved["state"])
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, AttributeError) as error:
        say(f"{path} is damaged ({error}); this training starts anew")
        return None
    state = TrainingState(**about)
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "parameter":
            state.parameters[rest] = tensor
        elif kind == "averaged":
            state.averaged[rest] = tensor
        elif kind == "teacher":
            state.teacher[rest] = tensor
        else:
            key, _, parameter = rest.partition("/")
            state.optimizer.setdefault(parameter, {})[key] = tensor
    return state


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a text and of the names, dtypes, shapes and bytes of tensors."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        content: Any = tensor.reshape(-1).view(torch.uint8).numpy()  # shares the tensor's memory
        digest.update(content)
    return digest.hexdigest()


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    try:
        write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=metadata))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"could not save {path}: {error}; what was saved there before is untouched. Free some space and run the "
            "same command again: it continues where it stopped"
        ) from None


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
