"""LoRA in the format of Hugging Face's PEFT: ``adapter_config.json`` and ``adapter_model.safetensors``.

PEFT names a matrix after the module of the Hugging Face model that it belongs to. A model with a
task head has the encoder one level deeper than a bare one, so names are compared by their end.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ...backbones import Blocks, LayerStack
from ...backbones.silence import silence_bitsandbytes
from ...core.errors import CheckpointError
from ...core.files import write_atomically
from ...core.outside import open_regular, parse_object, read_bytes
from ..tensor_files import write_tensors
from . import parameter_name

if TYPE_CHECKING:
    from .lora import LoraAdapter

CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"

ABSENT: tuple[object, ...] = (None, False, {}, [])
PLAIN: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "init_lora_weights": (True, False, None, "gaussian", "orthogonal", "eva"),  # others change W itself
    "use_rslora": ABSENT,
    "use_dora": ABSENT,
    "use_qalora": ABSENT,
    "use_bdlora": ABSENT,
    "lora_bias": ABSENT,
    "rank_pattern": ABSENT,
    "alpha_pattern": ABSENT,
    "layer_replication": ABSENT,
    "target_parameters": ABSENT,
    "trainable_token_indices": ABSENT,
    "alora_invocation_tokens": ABSENT,
    "arrow_config": ABSENT,
    "kasa_config": ABSENT,
    "velora_config": ABSENT,
    "monteclora_config": ABSENT,
}
"""What a configuration may say for ``alpha / r * B @ A`` to be all there is; its other keys do not matter here."""

IGNORED = re.compile(r"(^|\.)(pooler|classifier|score|qa_outputs|head|cls|lm_head)\.")
"""Modules above the last layer: our head is our own."""

Matrices = dict[tuple[int, str], tuple[Tensor, Tensor]]  # by block and linear layer within it: A and B


@dataclass(frozen=True)
class PeftLora:
    """What a folder holds: ``A [rank, inputs]`` and ``B [outputs, rank]`` of each place, and their scale."""

    matrices: Matrices
    alpha: float
    in_decoder: Matrices


def read_peft(folder: Path, stack: LayerStack, layers: range, decoder: Blocks | None) -> PeftLora:
    """Read a LoRA that PEFT saved, for the blocks in ``layers`` and those of a decoder that writes the answers.

    Raises:
        CheckpointError: It is another method, unsafe, incomplete, for another model, or reaches below the cut.
    """
    config = _read_config(folder)
    tensors = _read_tensors(folder)
    halves, others = halves_by_place(tensors, stack)
    in_decoder = dict[tuple[int, str], dict[str, Tensor]]()
    if decoder is not None:
        in_decoder, others = halves_by_place({key: tensors[key] for key in others}, decoder)
    if unknown := [key for key in others if not IGNORED.search(key)]:
        raise CheckpointError(
            f"{folder / WEIGHTS} holds {unknown[0]}; expected low-rank matrices of linear layers inside "
            f"{stack.facts.blocks}.N, which is all that can be adapted here: train that LoRA without it"
        )
    if not halves and not in_decoder:
        raise CheckpointError(f"{folder / WEIGHTS} holds no low-rank matrices of {stack.facts.blocks}.N.…; is it LoRA?")
    if below := sorted({layer for layer, _ in halves if layer < layers.start}):
        raise CheckpointError(
            f"the LoRA of {folder} changes layer {below[0]}, below the cut at {layers.start}, where states are "
            "computed once and cached; set backbone.cut: 0"
        )

    def matrices(blocks: Blocks, found: Mapping[tuple[int, str], Mapping[str, Tensor]]) -> Matrices:
        return {place: _checked(folder, blocks, place, pair, config["r"]) for place, pair in sorted(found.items())}

    return PeftLora(
        matrices=matrices(stack, halves),
        alpha=float(config["lora_alpha"]),
        in_decoder={} if decoder is None else matrices(decoder, in_decoder),
    )


def halves_by_place(
    tensors: Mapping[str, Tensor], stack: Blocks
) -> tuple[dict[tuple[int, str], dict[str, Tensor]], list[str]]:
    """Return ``A`` and ``B`` of each block and linear layer, by PEFT's names, and the other names."""
    pattern = re.compile(rf"(?:^|\.){re.escape(stack.facts.blocks)}\.(\d+)\.(.+)\.lora_([AB])(?:\.default)?\.weight$")
    halves, others = dict[tuple[int, str], dict[str, Tensor]](), list[str]()
    for key, tensor in tensors.items():
        if found := pattern.search(key):
            halves.setdefault((int(found[1]), found[2]), {})[found[3]] = tensor.float()
        else:
            others.append(key)
    return halves, others


def export_peft(adapter: LoraAdapter, stack: LayerStack, folder: Path, base_model_name: str) -> None:
    """Write a LoRA so that ``PeftModel.from_pretrained(model, folder)`` reads it.

    The model is that of the stack's ``auto_class``, or ``AutoModelForSeq2SeqLM`` where the decoder is adapted.

    Args:
        adapter: The trained matrices.
        stack: What they were trained on.
        folder: Where to; made if need be.
        base_model_name: Folder or Hub id that PEFT finds the frozen model by.

    Raises:
        CheckpointError: PEFT is not installed.
        WriteError: The disk is full, or the folder cannot be written.
    """
    silence_bitsandbytes()
    try:
        from peft import LoraConfig
    except ImportError:
        raise CheckpointError("writing PEFT's format needs PEFT: pip install 'lingraft[peers]'") from None
    sides: list[tuple[Any, LoraAdapter]] = [(stack, adapter)]
    if adapter.decoder is not None:
        sides.append((stack.decoder, adapter.decoder))
    pairs = {
        f"{blocks.facts.blocks}.{layer}.{name}": pair
        for blocks, side in sides
        for (layer, name), pair in side.matrices().items()
    }
    alpha: Any = float(adapter.alpha)
    config = LoraConfig(
        task_type="FEATURE_EXTRACTION" if adapter.decoder is None else "SEQ_2_SEQ_LM",
        base_model_name_or_path=base_model_name,
        r=next(len(pair.A) for pair in pairs.values()),
        lora_alpha=int(alpha) if alpha.is_integer() else alpha,
        target_modules=sorted(pairs),
        inference_mode=True,
    )
    write_atomically(folder / CONFIG, lambda temporary: _save_config(config, temporary))
    tensors = {
        f"base_model.model.{module}.lora_{side}.weight": matrix.detach().cpu().contiguous()
        for module, pair in pairs.items()
        for side, matrix in (("A", pair.A), ("B", pair.B))
    }
    write_tensors(folder / WEIGHTS, tensors, {"format": "pt"})


def _save_config(config: Any, path: Path) -> None:
    """Write a configuration of PEFT, which names its file itself."""
    with TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        shutil.copyfile(Path(folder) / CONFIG, path)


def _read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration, of plain LoRA."""
    path, cure = folder / CONFIG, "give a folder that PEFT's save_pretrained wrote"
    try:
        text = read_bytes(path, error=CheckpointError, cure=cure)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} cannot be read ({error}); {cure}") from None
    config = parse_object(text, str(path), error=CheckpointError, cure=cure)
    method = config.get("peft_type")
    if method is None:
        hint = "; it looks like AdapterHub's, see the adapter `adapterhub`" if "config" in config else ""
        raise CheckpointError(f"{path} names no peft_type, so PEFT did not write it{hint}")
    for key, allowed in PLAIN.items():
        if key in config and config[key] not in allowed:
            raise CheckpointError(
                f"{path}: expected {key}: {_readable(allowed)}, found {config[key]!r}; only plain LoRA, "
                "W + alpha / r * B @ A, can be a start"
            )
    numbers = {key: config.get(key) for key in ("r", "lora_alpha")}
    wrong = [key for key, n in numbers.items() if not _is_number(n)]
    if wrong:
        raise CheckpointError(f"{path} gives no number for {' and '.join(wrong)}; copy the folder again")
    return config


def _is_number(value: object) -> bool:
    """Return whether a value of a configuration is a number that can be computed with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e15


def _readable(allowed: Iterable[object]) -> str:
    return " or ".join(repr(value) for value in list(allowed)[:2])


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """Return all tensors of the folder, from safetensors."""
    path, pickle = folder / WEIGHTS, folder / PICKLE
    if not path.is_file() and pickle.is_file():
        raise CheckpointError(
            f"{folder} has its weights as a pickle ({PICKLE}), which can run any code when it is read; lingraft reads "
            f"safetensors. Convert it once:\n"
            f'  python -c "import torch; from safetensors.torch import save_file; '
            f"t = torch.load('{pickle}', weights_only=True); "
            f"save_file({{k: v.contiguous() for k, v in t.items()}}, '{path}')\""
        )
    try:
        open_regular(path, error=CheckpointError, cure="copy the folder again, whole").close()
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); copy the folder again, whole") from None
    return tensors


def _checked(
    folder: Path, stack: Blocks, place: tuple[int, str], pair: Mapping[str, Tensor], rank: int
) -> tuple[Tensor, Tensor]:
    """Return both matrices of a place, of the shapes that the stack needs."""
    layer, name = place
    try:
        outputs, inputs = stack.computed_with(parameter_name(layer, name)).shape
    except (AttributeError, ValueError, IndexError):
        raise CheckpointError(
            f"the LoRA of {folder} changes {name} in layer {layer}, which this backbone of {len(stack.layers)} layers "
            "does not have; it was made for another model"
        ) from None
    for side, expected in (("A", (rank, inputs)), ("B", (outputs, rank))):
        found = tuple(pair[side].shape) if side in pair else "none"
        if side in pair and not bool(pair[side].isfinite().all()):
            raise CheckpointError(
                f"the LoRA of {folder} has for {name} in layer {layer} a matrix {side} with numbers that are not "
                "finite; the training that made it diverged"
            )
        if found != expected:
            raise CheckpointError(
                f"the LoRA of {folder} has for {name} in layer {layer} a matrix {side} of shape {found}, expected "
                f"{expected}; it was made for another model, or is damaged"
            )
    return pair["A"], pair["B"]
