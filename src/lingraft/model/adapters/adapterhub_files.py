"""What the `adapters` library (adapterhub.ml) saves: ``adapter_config.json`` and ``adapter.safetensors``.

Read are sequential bottlenecks after the feed-forward network (``seq_bn``, ``pfeiffer``), with or
without an invertible part of the NICE kind (``seq_bn_inv``), which is what MAD-X's language adapters
are. Everything else is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ...backbones import LayerStack
from ...core.errors import CheckpointError
from ...core.outside import open_regular, parse_object, read_bytes

CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter.safetensors", "pytorch_adapter.bin"

ABSENT: tuple[object, ...] = (None, False, 0)
READ: dict[str, tuple[object, ...]] = {
    "architecture": ABSENT,
    "mh_adapter": ABSENT,
    "output_adapter": (True,),
    "cross_adapter": ABSENT,
    "is_parallel": ABSENT,
    "use_gating": ABSENT,
    "phm_layer": ABSENT,
    "ln_before": ABSENT,
    "ln_after": ABSENT,
    "inv_adapter": (None, "nice"),
    "residual_before_ln": (True, False, "post_add"),
}
"""What a configuration may say; its other keys concern how the adapter was trained."""


@dataclass(frozen=True)
class Architecture:
    """How a bottleneck is joined to its block.

    Attributes:
        non_linearity: Between down and up, and in the invertible part.
        scaling: Factor of what comes out of it.
        norm_before: Its input has the block's residual connection and norm already (``original_ln_before``).
        norm_after: The block's residual connection and norm follow it (``original_ln_after``).
        skip: Where its own skip connection starts (``residual_before_ln``): before these, after the
            residual connection (``post_add``), or, if false, after the norm.
    """

    non_linearity: str
    scaling: float
    norm_before: bool
    norm_after: bool
    skip: bool | str


def read_adapterhub(folder: Path, stack: LayerStack, layers: range) -> tuple[Architecture, dict[str, Tensor]]:
    """Read a folder that ``save_adapter(..., use_safetensors=True)`` wrote.

    Returns:
        The architecture, and the tensors under the names ``LAYER.down.weight``, ``LAYER.up.weight``,
        ``embedded.F.0.weight``, ``embedded.F.2.weight``, ``embedded.G…`` and the same with ``bias``.

    Raises:
        CheckpointError: It is unsafe, incomplete, of another kind, for another model, or reaches below the cut.
    """
    described = _read_config(folder, stack)
    config = described["config"]
    stored = _read_tensors(folder, described)
    name = re.escape(str(described["name"]))
    blocks = re.escape(stack.facts.blocks)
    bottleneck = re.compile(rf"(?:^|\.){blocks}\.(\d+)\.output\.adapters\.{name}\.adapter_(down\.0|up)\.(weight|bias)$")
    invertible = re.compile(rf"(?:^|\.)invertible_adapters\.{name}\.([FG]\.[02]\.(?:weight|bias))$")
    tensors: dict[str, Tensor] = {}
    for key, tensor in stored.items():
        if found := bottleneck.search(key):
            tensors[f"{found[1]}.{found[2].removesuffix('.0')}.{found[3]}"] = tensor.float()
        elif found := invertible.search(key):
            tensors[f"embedded.{found[1]}"] = tensor.float()
        else:
            raise CheckpointError(
                f"{folder / WEIGHTS} holds {key}, which is not part of a bottleneck after a feed-forward network or of "
                "an invertible part; only these are read"
            )
    _check_tensors(folder, tensors, stack, layers, bool(config.get("inv_adapter")))
    architecture = Architecture(
        non_linearity=str(config["non_linearity"]).lower(),
        scaling=float(config.get("scaling", 1.0)),
        norm_before=bool(config.get("original_ln_before", False)),
        norm_after=bool(config.get("original_ln_after", True)),
        skip=config.get("residual_before_ln", True),
    )
    return architecture, tensors


def conversion(folder: Path, model: str) -> str:
    """Return the command that turns an old or pickled folder into one that is read here."""
    model = model if re.fullmatch(r"[\w./-]+", model) else "THE MODEL IT WAS MADE FOR"
    return (
        "convert it once, in an environment of its own (pip install adapters):\n"
        f"  python -c \"from adapters import AutoAdapterModel as M; m = M.from_pretrained('{model}'); "
        f"n = m.load_adapter('{folder}'); m.save_adapter('{folder}-safetensors', n, use_safetensors=True)\"\n"
        f"then give the folder {folder}-safetensors"
    )


def is_known(non_linearity: str) -> bool:
    """Return whether a non-linearity has that name, in lower case."""
    from transformers.activations import ACT2FN

    return non_linearity in {*ACT2FN, "leakyrelu"}


def _read_config(folder: Path, stack: LayerStack) -> dict[str, Any]:
    """Return the configuration, of a kind that is read here."""
    path = folder / CONFIG
    cure = "give a folder that save_adapter wrote"
    try:
        text = read_bytes(path, error=CheckpointError, cure=cure)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} cannot be read ({error}); {cure}") from None
    described = parse_object(text, str(path), error=CheckpointError, cure=cure)
    config = described.get("config")
    if not isinstance(config, dict) or "name" not in described or "peft_type" in described:
        hint = "; PEFT wrote it, see the adapter `lora` and its option `start`" if "peft_type" in described else ""
        raise CheckpointError(f"{path} is not AdapterHub's{hint or '; give a folder that save_adapter wrote'}")
    if not str(described.get("version", "")).startswith("adapters."):
        raise CheckpointError(
            f"{folder} was saved by adapter-transformers, whose names are others; "
            f"{conversion(folder, str(described.get('model_name')))}"
        )
    for key, allowed in READ.items():
        if key in config and config[key] not in allowed:
            raise CheckpointError(
                f"{path}: expected {key}: {' or '.join(map(repr, allowed))}, found {config[key]!r}; of AdapterHub's "
                "architectures seq_bn and seq_bn_inv (MAD-X) are read"
            )
    if not isinstance(config.get("scaling", 1.0), float | int):
        raise CheckpointError(f"{path}: expected a number as scaling, found {config['scaling']!r}, which is not read")
    if not is_known(str(config.get("non_linearity")).lower()):
        raise CheckpointError(f"{path}: the non_linearity {config.get('non_linearity')!r} is not known")
    for key, ours in (("model_type", stack.configuration.get("model_type")), ("hidden_size", stack.width)):
        if described.get(key, ours) != ours:
            raise CheckpointError(
                f"{folder} was made for {described.get('model_name')}, with {key} {described[key]}; this backbone has "
                f"{ours}: an adapter fits only the checkpoint that it was trained on"
            )
    return described


def _read_tensors(folder: Path, described: Mapping[str, Any]) -> dict[str, Tensor]:
    path = folder / WEIGHTS
    if not path.is_file() and (folder / PICKLE).is_file():
        raise CheckpointError(
            f"{folder} has its weights as a pickle ({PICKLE}), which can run any code when it is read; lingraft reads "
            f"safetensors: {conversion(folder, str(described.get('model_name')))}"
        )
    try:
        open_regular(path, error=CheckpointError, cure="copy the folder again, whole").close()
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); copy the folder again, whole") from None
    return tensors


def _check_tensors(
    folder: Path, tensors: Mapping[str, Tensor], stack: LayerStack, layers: range, invertible: bool
) -> None:
    """Check that everything is there, fits the backbone and lies above the cut."""
    found = sorted({int(name.split(".")[0]) for name in tensors if not name.startswith("embedded.")})
    if not found:
        raise CheckpointError(f"{folder / WEIGHTS} holds no bottleneck after a feed-forward network")
    if (invertible or found[0] < layers.start) and layers.start > 0:
        what = "an invertible part on the embeddings" if invertible else f"an adapter in layer {found[0]}"
        raise CheckpointError(
            f"{folder} has {what}, below the cut at {layers.start}, where states are computed once and cached; set "
            "backbone.cut: 0"
        )
    if found[-1] >= stack.num_layers:
        raise CheckpointError(
            f"{folder} has an adapter in layer {found[-1]}, and this backbone has {stack.num_layers} layers; it was "
            "made for another model"
        )
    check_shapes(str(folder / WEIGHTS), tensors, stack.width, invertible)


def check_shapes(where: str, tensors: Mapping[str, Tensor], width: int, invertible: bool) -> None:
    """Check that the tensors of a language are those of bottlenecks, and of an invertible part if there is one.

    Args:
        where: They come from.
        tensors: Named as :func:`read_adapterhub` does.
        width: Of the states, ``H``.
        invertible: Whether there is an invertible part.

    Raises:
        CheckpointError: With the first that is missing or of another shape.
    """
    half = width // 2
    layers = dict.fromkeys(name.split(".")[0] for name in tensors if not name.startswith("embedded."))
    ends = {f"{layer}.": ("down", "up", width, width) for layer in layers}
    if invertible:
        ends["embedded.F."] = ("0", "2", width - half, half)
        ends["embedded.G."] = ("0", "2", half, width - half)
    known = set[str]()
    for prefix, (first, second, inputs, outputs) in ends.items():
        bias = tensors.get(f"{prefix}{first}.bias")
        inner = 0 if bias is None else bias.numel()
        expected = {
            f"{prefix}{first}.weight": (inner, inputs),
            f"{prefix}{first}.bias": (inner,),
            f"{prefix}{second}.weight": (outputs, inner),
            f"{prefix}{second}.bias": (outputs,),
        }
        known |= expected.keys()
        for name, shape in expected.items():
            shown = tuple(tensors[name].shape) if name in tensors else "none"
            if not inner or shown != shape:
                raise CheckpointError(
                    f"{where}: expected {name} of shape {shape}, found {shown}; it was made for another model, or is "
                    "damaged"
                )
    if unknown := sorted(name for name in tensors.keys() - known if invertible or not name.startswith("embedded.")):
        raise CheckpointError(f"{where} holds {unknown[0]}, which no bottleneck or invertible part has; it is damaged")
