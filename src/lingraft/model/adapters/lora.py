"""LoRA (Hu et al., 2021): a trained matrix of low rank added to frozen ones, shared by all languages.

To predict we compute ``W + alpha / rank * B @ A`` once and run the stack with it, so a token costs
nothing more. In training the product stays beside ``W``, on a hook of the linear layer: merged, a step
would pay for the gradient of the whole matrix, as in fine-tuning. No module of the frozen stack is
replaced either way, and a family needs no code of its own. Where the decoder of an encoder-decoder writes
the answers it is adapted as the encoder is: self-attention, attention to the text, feed-forward.

Hugging Face's PEFT reads and writes the same matrices: see :mod:`lingraft.model.adapters.peft_files`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ...backbones import Blocks, LayerStack
from ...core.amounts import Factor, Width
from ...core.errors import CheckpointError
from ..answering import answering
from . import Adapter, Build, adapters, is_counted_only, linear_layers, parameter_name
from .peft_files import Matrices, read_peft

Names = Annotated[list[str], Field(min_length=1)]
Place = tuple[int, str]  # block, linear layer within it


@adapters.register("lora")
def lora(
    *,
    rank: Width = 8,
    alpha: Factor = 16,
    targets: Names | Literal["all-linear"] = "all-linear",
    start: Path | None = None,
    decoder: bool | None = None,
) -> Build:
    """Low-rank matrices on linear layers above the cut; from a PEFT folder `start`, with what that says of all else.

    Those of the decoder that writes an encoder-decoder's answers have some, too, unless `decoder: false`.

    Args:
        rank: Of the pairs of matrices; those of a ``start`` have their own.
        alpha: Scales their product by ``alpha / rank``.
        targets: Linear layers by name, or ``all-linear``.
        start: A folder that PEFT wrote.
        decoder: Whether the decoder is adapted, too; by default where one writes the answers.
    """

    def build(stack: LayerStack, layers: range, languages: Iterable[str]) -> Adapter:
        writer = answering(stack, decoder, "adapter")
        every = range(len(writer.layers)) if writer else range(0)
        if start is None:
            names = None if targets == "all-linear" else targets
            adapter = _fresh(stack, linear_layers(stack, layers, names, beside=writer), rank, alpha)
            if writer and (places := linear_layers(writer, every, names, beside=stack)):
                adapter.decoder = _fresh(writer, places, rank, alpha)
            return adapter
        folder = start.expanduser()
        if folder.is_dir():
            found = read_peft(folder, stack, layers, writer)
            adapter = LoraAdapter(_pairs(found.matrices), found.alpha)
            if found.in_decoder:
                adapter.decoder = LoraAdapter(_pairs(found.in_decoder), found.alpha)
            return adapter
        missing = f"adapter.start: there is no folder {start}; give one that PEFT's save_pretrained wrote"
        if is_counted_only(stack):
            raise CheckpointError(missing)
        return LoraAdapter({}, alpha, missing=missing)

    return build


def _fresh(stack: Blocks, places: Iterable[Place], rank: int, alpha: float) -> LoraAdapter:
    """Return pairs of matrices that change nothing yet."""
    weights = {place: stack.computed_with(parameter_name(*place)) for place in places}
    return LoraAdapter({place: LowRank.fresh(weight, rank) for place, weight in weights.items()}, alpha)


def _pairs(matrices: Matrices) -> dict[Place, LowRank]:
    return {place: LowRank(*pair) for place, pair in matrices.items()}


class LowRank(nn.Module):
    """``B @ A``, with ``A [rank, inputs]`` and ``B [outputs, rank]``."""

    def __init__(self, a: Tensor, b: Tensor) -> None:
        super().__init__()
        self.A = nn.Parameter(a)
        self.B = nn.Parameter(b)

    @classmethod
    def fresh(cls, weight: Tensor, rank: int) -> LowRank:
        """Make a pair for ``weight [outputs, inputs]``, as PEFT begins: ``A`` like a linear layer, ``B`` zero."""
        outputs, inputs = weight.shape
        a = torch.empty(rank, inputs)
        nn.init.kaiming_uniform_(a, a=math.sqrt(5))
        return cls(a, torch.zeros(outputs, rank))

    def forward(self, scaling: Tensor) -> Tensor:
        """Return the product, ``[outputs, inputs]``."""
        return scaling * (self.B @ self.A)

    def beside(self, scaling: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        """Return a hook of the linear layer: its output and what the pair adds."""

        def add(linear: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return output + scaling * F.linear(F.linear(given[0], self.A), self.B)

        return add


class LoraAdapter(Adapter):
    """The pairs of matrices: ``task.LAYER.NAME.A`` and ``.B``, dots in names written as ``/``."""

    alpha: Tensor
    decoder: LoraAdapter | None

    def __init__(self, places: Mapping[Place, LowRank], alpha: float, missing: str | None = None) -> None:
        super().__init__()
        self.missing = missing
        self.register_buffer("alpha", torch.tensor(float(alpha)))
        self.task = nn.ModuleDict()
        for place, matrices in places.items():
            self._put(place, matrices)
        self.register_load_state_dict_pre_hook(_make_room)  # type: ignore[no-untyped-call]

    def _put(self, place: Place, matrices: LowRank) -> None:
        layer, name = place
        if str(layer) not in self.task:
            self.task[str(layer)] = nn.ModuleDict()
        self.task[str(layer)][name.replace(".", "/")] = matrices  # type: ignore[operator]

    def matrices(self) -> dict[Place, LowRank]:
        """Return all pairs, by block and linear layer within it."""
        return {
            (int(layer), key.replace("/", ".")): pair
            for layer, of_layer in self.task.items()
            for key, pair in of_layer.items()  # type: ignore[operator]
        }

    @contextmanager
    def beside(self, stack: Blocks) -> Iterator[None]:
        """Add ``alpha / rank * x A' B'`` to the output of each place; nothing remains afterwards."""
        hooks = []
        try:
            for (layer, name), pair in self.matrices().items():
                linear = stack.get_submodule(f"layers.{layer}.{name}")
                hooks.append(linear.register_forward_hook(pair.beside(self.alpha / len(pair.A))))
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def weights(self, stack: Blocks, language: str) -> dict[str, Tensor]:
        """Return ``W + alpha / rank * B @ A`` for each place, whatever the language."""
        merged = {}
        for (layer, name), pair in self.matrices().items():
            weight = stack.computed_with(parameter_name(layer, name))
            merged[parameter_name(layer, name)] = weight + pair(self.alpha / len(pair.A)).to(weight.device)
        return merged


def saved_lora(tensors: Mapping[str, Tensor], prefix: str, stack: LayerStack) -> LoraAdapter:
    """Return room for the matrices of a saved state, whatever they began as: its tensors say where they are.

    Args:
        tensors: Of the state, by name.
        prefix: What the names of the adapter's begin with.
        stack: The frozen layers.

    Raises:
        ValueError: The matrices are not for linear layers of these shapes.
    """
    adapter = LoraAdapter({}, 1.0, missing="its start is not there")
    _make_room(adapter, tensors, prefix)
    sides: list[tuple[Any, LoraAdapter]] = [(stack, adapter)]
    if adapter.decoder is not None:
        _make_room(adapter.decoder, tensors, f"{prefix}decoder.")
        sides.append((stack.decoder, adapter.decoder))
    for blocks, side in sides:
        for (layer, name), pair in side.matrices().items():
            expected = blocks.computed_with(parameter_name(layer, name)).shape
            if (len(pair.B), pair.A.shape[1]) != expected or len(pair.A) != pair.B.shape[1]:
                raise ValueError(f"matrices of {name} in layer {layer} are not for one of shape {tuple(expected)}")
    return adapter


def _make_room(module: nn.Module, saved: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
    """Make room for a saved state: the folder it began with may be gone, its shapes are in the state."""
    if not isinstance(module, LoraAdapter) or module.missing is None:
        return
    if module.decoder is None and any(key.startswith(f"{prefix}decoder.") for key in saved):
        module.decoder, module.missing = LoraAdapter({}, float(module.alpha), module.missing), None
    for key, a in saved.items():
        if key.startswith(f"{prefix}task.") and key.endswith(".A"):
            layer, name = key.removeprefix(f"{prefix}task.").removesuffix(".A").split(".")
            b = saved[key.removesuffix("A") + "B"]
            module._put((int(layer), name.replace("/", ".")), LowRank(torch.empty_like(a), torch.empty_like(b)))
            module.missing = None
