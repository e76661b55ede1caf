"""What is saved: the trained tensors, the backbone's identity, and all that prediction needs.

One safetensors file per adaptation; its metadata is a JSON text. The backbone itself is never
stored: loading compares digests and refuses another one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, TypeAdapter
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..backbones import LayerStack, Precision
from ..backbones.checkpoint_files import first_line
from ..backbones.loading import Backbone
from ..backbones.quantised import Bits
from ..core.errors import CheckpointError, ConfigError, LingraftError, shown
from ..core.examples import PairExample
from ..core.files import read_object
from ..core.nearest_file import suggest_folder
from ..core.outside import open_regular, parse_object, validate
from ..core.records import IDS
from ..core.written_recipe import run_again
from ..recipe.blocks import Block
from ..results.finished_run import refuse_changed
from ..results.method_schemas import METHOD
from ..tasks.kinds import kind_of
from .adaptation import Adaptation, add_lora, build_adaptation
from .adapters.lora import saved_lora
from .comparison.classifier import SAVED as COMPARISON
from .comparison.classifier import restore_comparison
from .comparison.reader import pair_reader
from .ensembles import SAVED as ENSEMBLES
from .ensembles import restore_ensembles
from .heads import build_head
from .network import shapes_of
from .tensor_files import write_tensors

FORMAT = "lingraft-adaptation-2"
"""The form of the file; its number is raised when an older lingraft would misread a newer one's."""

SUFFIX = ".safetensors"

UNFROZEN = "unfrozen."
"""What the names of trained copies of the backbone's own parameters begin with."""

Text = Annotated[str, Field(max_length=4096)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]
"""Of a language, which is part of the names of tensors."""


def _as_block(described: dict[str, Any]) -> dict[str, Any]:
    """Return what describes a part, which must be a block as recipes have it."""
    Block.model_validate(described)
    return described


Described = Annotated[dict[str, Any], AfterValidator(_as_block)]


def _each_once(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse labels of which two are the same: a head could not say which of them it means."""
    if twice := [label for label, count in Counter(labels).items() if count > 1]:
        raise ValueError(f"the label {twice[0]!r} stands there twice")
    return labels


@dataclass(frozen=True)
class Identity:
    """What an adaptation was trained for and on."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    checkpoint: Text
    weights_digest: Text
    tokenizer_digest: Text
    text_prefix: Text
    cut: Annotated[int, Field(ge=IDS, le=1000)]
    max_length: Annotated[int, Field(ge=1, le=10**6)]
    task: Text
    kind: Text
    labels: Annotated[tuple[str, ...], AfterValidator(_each_once)]
    source_language: Code
    languages: tuple[Code, ...]
    prompt: Described | None
    adapter: Described | None
    version: Text
    paired: bool = False
    """Whether the task compares two texts."""
    kind_options: dict[str, Any] = field(default_factory=dict)
    """What the kind of task is built with, beside the labels."""
    precision: Precision = "float32"
    """Of the backbone's matrix products."""
    lora: Described | None = None
    """What is in all layers, also below the cut."""
    layers: Annotated[int, Field(ge=1, le=1000)] | None = None
    """After how many of the checkpoint's layers texts are read; None for all."""
    decoder_digest: Text = ""
    """Of the decoder that writes the answers, where it is apart."""
    pooling: Literal["mean", "last"] = "mean"
    """Of which of its tokens a text is read off."""
    rounded: Bits | None = None
    """What the backbone's matrices were rounded to."""

    @property
    def begins(self) -> int:
        """Layer whose states the network reads: the cut, or token ids where layers below it are adapted too."""
        return self.cut if self.lora is None else IDS


_schema = TypeAdapter(Identity)


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
    return read_adaptation(path)[1]


def adaptation_path(folder: Path | str) -> Path:
    """Return the file with the trained parts; of a method of a comparison, that of its first training.

    Raises:
        CheckpointError: It is another file, or the folder of a comparison, which has none of its own.
    """
    path = Path(folder).expanduser()
    if path.suffix == SUFFIX and not path.is_dir():
        return path
    if path.is_file():
        raise CheckpointError(f"{path} is a file, and not one of trained parts; give the folder of a finished run")
    if methods := sorted(found.parent.name for found in path.glob("*/method.json")):
        raise CheckpointError(
            f"{path} holds a comparison; give the folder of one of its methods, which are {', '.join(methods)}"
        )
    trained = read_object(path / "method.json", METHOD).get("trials", ())
    return path.joinpath(*(("trials", trained[0]) if trained else ()), f"adaptation{SUFFIX}")


def load_adaptation(path: Path, backbone: Backbone) -> tuple[Adaptation, Identity]:
    """Rebuild a trained adaptation for ``backbone``.

    Raises:
        CheckpointError: It was trained on another backbone or tokenizer, is damaged, or is not ours to compute.
    """
    tensors, identity = read_adaptation(path)
    check_backbone(path, identity, backbone)
    refuse_parts_of_peft(path, tensors, identity)
    try:
        _refuse_broken_promises(path, tensors, identity, backbone)
        adaptation = _build(tensors, identity, backbone.stack)
        for language, ensemble in restore_ensembles(tensors, str(path)).items():
            adaptation.add_ensemble(language, ensemble)
        outputs = kind_of(identity.kind, identity.labels, identity.kind_options).outputs
        read = pair_reader(backbone, identity.max_length)
        adaptation.comparison = restore_comparison(tensors, read, outputs, str(path))
        adaptation.load_state_dict(tensors)
        _try_ensembles(adaptation, identity, backbone.stack.width)
    except ConfigError as error:
        raise CheckpointError(_misdescribed(path, error)) from None
    except LingraftError:
        raise
    except Exception as error:  # what does not fit fails wherever it is first read, in parts of other packages too
        problem = " ".join(str(error).split())[:500]
        raise CheckpointError(
            f"{path} does not hold the tensors that its recipe promises: {type(error).__name__}: {problem}; "
            f"{run_again(path)}"
        ) from None
    return adaptation.eval(), identity


def refuse_parts_of_peft(path: Path, tensors: Mapping[str, Tensor], identity: Identity) -> None:
    """Refuse an adaptation of which a part is not ours to compute.

    Raises:
        CheckpointError: There is one.
    """
    for part, described in (("prompt", identity.prompt), ("adapter", identity.adapter)):
        if described is None and any(name.startswith(f"{part}.") for name in tensors):
            raise CheckpointError(
                f"{path} holds a {part} that PEFT made, which only PEFT's own model computes, so it cannot be used for "
                "predicting or evaluating here, nor to start from; its scores are in the comparison's README.md. To "
                "use a method of it, give the folder of another one"
            )


def _try_ensembles(adaptation: Adaptation, identity: Identity, width: int) -> None:
    """Answer an empty text in each language, which fails where a map or a text classifier fits no such backbone."""
    outputs = kind_of(identity.kind, identity.labels, identity.kind_options).outputs
    for language in adaptation.ensembles:
        adaptation.ensemble([PairExample("", "", language)], [torch.zeros(outputs)], torch.zeros(1, width), language)


def _refuse_broken_promises(path: Path, tensors: Mapping[str, Tensor], identity: Identity, backbone: Backbone) -> None:
    """Refuse an adaptation that does not fit its backbone, or lacks what its description promises, by shapes alone.

    So what is built afterwards takes as much memory as the file does.

    Raises:
        CheckpointError: With the first tensor, or setting, that is wrong.
    """
    if identity.cut > backbone.stack.num_layers or identity.max_length > backbone.max_length:
        raise CheckpointError(
            f"{path} was trained above layer {identity.cut} on texts of {identity.max_length} tokens; {backbone.name} "
            f"has {backbone.stack.num_layers} layers and reads {backbone.max_length} tokens; {run_again(path)}"
        )
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{path}: {name} holds numbers that are not finite; {run_again(path)}")
    known = {f"{UNFROZEN}{name.replace('.', '/')}" for name, _ in backbone.stack.named_parameters()}
    if strange := [name for name in tensors if name.startswith(UNFROZEN) and name not in known]:
        raise CheckpointError(
            f"{path} holds {shown(strange[0])}, a copy of a parameter that {backbone.name} does not have; "
            f"{run_again(path)}"
        )
    with torch.device("meta"):
        promised = _build(tensors, identity, shapes_of(backbone.stack)).state_dict()
    for name, expected in promised.items():
        found = tuple(tensors[name].shape) if name in tensors else None
        if found != tuple(expected.shape):
            raise CheckpointError(
                f"{path} does not hold the tensors that its recipe promises: expected {name} of shape "
                f"{tuple(expected.shape)}, found {found or 'none'}; {run_again(path)}"
            )
    if more := [
        name for name in tensors if name not in promised and not name.startswith((f"{ENSEMBLES}.", f"{COMPARISON}."))
    ]:
        raise CheckpointError(
            f"{path} holds {shown(more[0])}, which no part that its recipe promises has; {run_again(path)}"
        )


def _build(tensors: Mapping[str, Tensor], identity: Identity, stack: LayerStack) -> Adaptation:
    """Return the parts that an adaptation describes, with any values."""
    adapter, lora = _block(identity.adapter), _block(identity.lora)
    adaptation = build_adaptation(
        prompt=_block(identity.prompt),
        adapter=adapter,
        stack=stack,
        cut=identity.cut,
        languages=identity.languages,
        head=build_head(kind_of(identity.kind, identity.labels, identity.kind_options), stack),
        initial=lambda how, layer, count: torch.zeros(count, stack.width),
        unfrozen=[name.removeprefix(UNFROZEN).replace("/", ".") for name in tensors if name.startswith(UNFROZEN)],
    )
    if identity.adapter and identity.adapter.get("start"):  # which had places, rank and alpha of its own
        adaptation.adapter = saved_lora(tensors, "adapter.", stack)
    if lora is not None:
        add_lora(adaptation, lora, adapter, stack)
    return adaptation


def _block(described: Mapping[str, Any] | None) -> Block | None:
    """Return a part's block; a folder that it began with is not read again, since the saved tensors have it all."""
    if described is None:
        return None
    begun: dict[str, Any] = {"folders": {}} if isinstance(described.get("folders"), dict) else {}
    return Block.model_validate({key: value for key, value in described.items() if key != "start"} | begun)


def check_backbone(path: Path, identity: Identity, backbone: Backbone) -> None:
    """Refuse a backbone that an adaptation was not trained on.

    Raises:
        CheckpointError: It is another, or its decoder is missing.
    """
    if identity.decoder_digest and not backbone.decoder_digest:
        raise CheckpointError(
            f"{path} answers with the decoder of {identity.checkpoint}, and {backbone.name} was loaded without one; "
            "load it with load_backbone(…, writing=True), or leave the backbone out"
        )
    for what, trained, given in (
        ("backbone", identity.weights_digest, backbone.weights_digest),
        ("tokenizer", identity.tokenizer_digest, backbone.tokenizer_digest),
        ("decoder", identity.decoder_digest, backbone.decoder_digest if identity.decoder_digest else ""),
    ):
        if trained != given:
            raise CheckpointError(
                f"{path} was trained on another {what} than {backbone.name}: digest {trained} there, {given} here; "
                f"load it onto {identity.checkpoint}"
            )


def read_adaptation(path: Path) -> tuple[dict[str, Tensor], Identity]:
    """Return the tensors of a file of trained parts, and what they were trained for and on.

    Raises:
        CheckpointError: There is no such file, or it is not one of ours.
    """
    try:
        open_regular(path, error=CheckpointError, cure=run_again(path)).close()
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        refuse_changed(path.parent, path.name, error=CheckpointError)
        near = suggest_folder(path.parent, path.name)
        raise CheckpointError(f"there is no {path}; give the folder of a finished run{near}") from None
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({first_line(error)}); {run_again(path)}") from None
    refuse_changed(path.parent, path.name, error=CheckpointError)
    return tensors, _identity_of(path, metadata.get("lingraft", "{}"))


def _identity_of(path: Path, text: str) -> Identity:
    """Return what the description of an adaptation says."""
    about = parse_object(text, str(path), error=CheckpointError, cure=run_again(path))
    form = about.get("format")
    if form != FORMAT:
        cure = _describe_version(form) or run_again(path)
        raise CheckpointError(f"{path}: expected the format {FORMAT}, found {str(form)[:100]}; {cure}")
    found = validate(
        _schema, about.get("identity"), f"{path}, its description", error=CheckpointError, cure=run_again(path)
    )
    try:
        kind_of(found.kind, found.labels, found.kind_options)
    except ConfigError as error:
        raise CheckpointError(_misdescribed(path, error)) from None
    return found


def _describe_version(form: object) -> str:
    """Say which lingraft wrote another form, and what to do; nothing where it is none of ours."""
    other = re.fullmatch(r"lingraft-adaptation-([0-9]{1,9})", form) if isinstance(form, str) else None
    if other is None:
        return ""
    if int(other[1]) > int(FORMAT.rpartition("-")[2]):
        return "a newer lingraft wrote it: load it with that"
    return "an older lingraft wrote it: run the recipe again into another output_dir"


def _misdescribed(path: Path, error: ConfigError) -> str:
    """Say in one line what a part was described with that it does not take."""
    problem = " ".join("; ".join(error.problems).split())
    return f"{path}, its description: {problem[:500]}; {run_again(path)}"
