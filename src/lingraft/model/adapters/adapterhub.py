"""Language adapters of AdapterHub (MAD-X; Pfeiffer et al., 2020) as language parts.

They sit inside the block, after the feed-forward network and before its norm, and may begin with an
invertible part on the embeddings. As in MAD-X they stay frozen, and a task adapter of our own, which
all languages share, is trained on top of them. See :mod:`lingraft.model.adapters.adapterhub_files` for
what is read. The adaptation that is saved holds them, so their folders are needed once only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field, TypeAdapter
from torch import Tensor, nn

from ...backbones import FeedForward, LayerStack
from ...core.amounts import Share, WidthOrNone
from ...core.errors import CheckpointError
from . import Adapter, Build, adapters, is_counted_only
from .adapterhub_files import Architecture, check_shapes, is_known, read_adapterhub
from .bottleneck import Bottleneck

_architecture = TypeAdapter(Architecture)

Code = Annotated[str, Field(pattern=r"^[a-z]{3}-[A-Z][a-z]{3}$")]


@adapters.register("adapterhub")
def adapterhub(
    *,
    folders: dict[Code, Path],
    width: WidthOrNone = 32,
    dropout: Share = 0.1,
    learn: bool = False,
) -> Build:
    """Language adapters made elsewhere (`folders`: `swh-Latn: path`), and a task bottleneck on top of them.

    Args:
        folders: Folder of each language's adapter.
        width: Of the task bottleneck; 0 for none.
        dropout: In the task bottleneck.
        learn: Whether the languages' adapters learn too.
    """

    def build(stack: LayerStack, layers: range, languages: Iterable[str]) -> Adapter:
        if not stack.facts.adapter_inside:
            stack.refuse_feed_forward()
        adapter = AdapterHubAdapter(stack.width, layers, width=width, dropout=dropout, learn=learn)
        for code, folder in folders.items():
            if folder.expanduser().is_dir():
                adapter.put(code, *read_adapterhub(folder.expanduser(), stack, layers))
                continue
            adapter.missing = f"adapter.folders.{code}: there is no folder {folder}; give one that save_adapter wrote"
            if is_counted_only(stack):
                raise CheckpointError(adapter.missing)
        return adapter

    return build


class AdapterHubAdapter(Adapter):
    """``task.LAYER``, trained; ``language.CODE.LAYER`` and ``language.CODE.embedded``, as they were found."""

    def __init__(self, hidden_width: int, layers: range, *, width: int, dropout: float, learn: bool) -> None:
        super().__init__()
        self.learn, self.width = learn, hidden_width
        layers = layers if width else range(0)
        self.task = nn.ModuleDict({str(layer): Bottleneck(hidden_width, width, dropout) for layer in layers})
        self.language = nn.ModuleDict()
        self.register_load_state_dict_pre_hook(_make_room)  # type: ignore[no-untyped-call]

    def put(self, code: str, architecture: Architecture, tensors: Mapping[str, Tensor]) -> None:
        """Make these the adapter of a language; tensors are named as in :class:`LanguageAdapter`."""
        self.language[code] = LanguageAdapter(architecture, tensors, learn=self.learn)

    def embedded(self, language: str, hidden: Tensor) -> Tensor:
        """Apply the invertible part of the language to ``[B, T, H]``."""
        own = self._own(language)
        return own.move_halves(hidden) if own is not None and "embedded" in own else hidden

    def feed_forward(self, layer: int, language: str) -> FeedForward | None:
        """Return the adapters of language and task, one after the other, with the block's own norm around them."""
        own = self._own(language)
        if own is not None and str(layer) not in own:
            own = None
        task = dict(self.task.items()).get(str(layer))
        if own is None and task is None:
            return None

        def end(dense: Tensor, residual: Tensor, norm: nn.Module) -> Tensor:
            states = dense if own is None else own.adapt(layer, dense, residual, norm)
            if task is not None:  # AdapterHub's `seq_bn`, whatever the language's architecture
                states = states + task(norm(states + residual))
            elif own is not None and not own.architecture.norm_after:
                return states
            normalised: Tensor = norm(states + residual)
            return normalised

        return end

    def _own(self, language: str) -> LanguageAdapter | None:
        found = dict(self.language.items()).get(language)
        return found if isinstance(found, LanguageAdapter) else None


class LanguageAdapter(nn.ModuleDict):
    """One language's: ``LAYER.down``, ``LAYER.up``, ``embedded.F.0`` and so on, and the architecture as bytes of JSON.

    Args:
        architecture: How the tensors are put together.
        tensors: All weights and biases, by these names.
        learn: Whether they are parameters, or buffers that no optimiser sees.
    """

    described: Tensor

    def __init__(self, architecture: Architecture, tensors: Mapping[str, Tensor], *, learn: bool) -> None:
        super().__init__()
        self.architecture = architecture
        self.register_buffer("described", _as_bytes(architecture))
        self.activation = _activation(architecture.non_linearity)
        for name, tensor in tensors.items():
            *path, kind = name.split(".")
            module: nn.Module = self
            for step in path:
                if step not in dict(module.named_children()):
                    module.add_module(step, nn.Module())
                module = module.get_submodule(step)
            if learn:
                module.register_parameter(kind, nn.Parameter(tensor.clone()))
            else:
                module.register_buffer(kind, tensor.clone())

    def adapt(self, layer: int, dense: Tensor, residual: Tensor, norm: nn.Module) -> Tensor:
        """Adapt ``[B, T, H]`` after the feed-forward network, before what ends the block.

        Args:
            layer: Whose adapter.
            dense: Output of the feed-forward network, ``[B, T, H]``.
            residual: What the block adds to it, ``[B, T, H]``.
            norm: That ends the block.
        """
        states, around = dense, dense
        if self.architecture.norm_before:
            states = dense + residual
            around = states if self.architecture.skip == "post_add" else around
            states = norm(states)
        if not self.architecture.skip:
            around = states
        down, up = self.get_submodule(f"{layer}.down"), self.get_submodule(f"{layer}.up")
        return self.architecture.scaling * _linear(up, self.activation(_linear(down, states))) + around

    def move_halves(self, hidden: Tensor) -> Tensor:
        """Apply the invertible part (NICE; Dinh et al., 2015): each half of ``[B, T, H]`` moved by the other."""
        first, second = hidden.tensor_split([hidden.shape[-1] // 2], dim=-1)

        def shift(name: str, states: Tensor) -> Tensor:
            inner = self.activation(_linear(self.get_submodule(f"embedded.{name}.0"), states))
            return _linear(self.get_submodule(f"embedded.{name}.2"), inner)

        first = first + shift("F", second)
        return torch.cat([first, second + shift("G", first)], dim=-1)


def _linear(module: Any, states: Tensor) -> Tensor:
    return F.linear(states, module.weight, module.bias)


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    """Return a non-linearity by the name that ``adapters`` knows it under; the folder's reader has checked it."""
    from transformers.activations import ACT2FN

    function: Callable[[Tensor], Tensor] = F.leaky_relu if name == "leakyrelu" else ACT2FN[name]
    return function


def _as_bytes(architecture: Architecture) -> Tensor:
    return torch.tensor(list(json.dumps(asdict(architecture), sort_keys=True).encode()), dtype=torch.uint8)


def _make_room(module: nn.Module, saved: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
    """Make room for a saved state: the folders may be gone or hold something else, the state has it all."""
    if not isinstance(module, AdapterHubAdapter):
        return
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in saved.items():
        if key.startswith(f"{prefix}language."):
            code, name = key.removeprefix(f"{prefix}language.").split(".", maxsplit=1)
            parts.setdefault(code, {})[name] = tensor
    for code, tensors in parts.items():
        described = tensors.pop("described", torch.empty(0, dtype=torch.uint8))
        known = module._own(code)
        if known is not None and torch.equal(known.described.cpu(), described.cpu()):
            continue
        architecture = _architecture.validate_json(bytes(described.tolist()))
        if not is_known(architecture.non_linearity):
            raise ValueError(f"the non_linearity {architecture.non_linearity!r} is not known")
        check_shapes(f"{prefix}language.{code}", tensors, module.width, any(n.startswith("embedded.") for n in tensors))
        module.put(code, architecture, tensors)
    module.missing = None
