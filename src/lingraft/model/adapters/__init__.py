"""Trained functions inside the frozen layers and between them.

A factory takes options and returns ``build(stack, layers, languages)``, which returns an
:class:`Adapter` for the blocks in ``layers`` (from the cut to the top). Parameters of the part that
all languages share are called ``task.LAYER…``, those of one language ``language.CODE.LAYER…``, and what it does to
the decoder of an encoder-decoder is another adapter inside it, ``decoder``. The stack may be on the meta device, where
parameters are only counted; it is never changed. It has a decoder only where that writes the answers of the task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Self

from torch import Tensor, nn

from ...backbones import Blocks, FeedForward, LayerStack
from ...core.errors import CheckpointError, ConfigError
from ...core.registry import Registry


class Adapter(nn.Module):
    """Places where a layer can be adapted; what a subclass leaves as it is changes nothing.

    Attributes:
        missing: A sentence for the user, if files that this adapter begins with are not there. A saved
            adapter needs them no more: ``load_state_dict`` makes it whole. It cannot be trained before.
        decoder: What takes the place of weights of the decoder that writes the answers, all of its blocks; or None.
    """

    missing: str | None = None
    decoder: Adapter | None

    def __init__(self) -> None:
        super().__init__()
        self.decoder = None

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on or off.

        Raises:
            CheckpointError: It is to be trained, and what it begins with is missing.
        """
        if mode and self.missing:
            raise CheckpointError(self.missing)
        return super().train(mode)

    def forward(self, layer: int, language: str, hidden: Tensor) -> Tensor:
        """Adapt states ``[B, T, H]`` after block ``layer``: the same shape."""
        return hidden

    def embedded(self, language: str, hidden: Tensor) -> Tensor:
        """Adapt the states at layer 0; called where the cut is 0."""
        return hidden

    def feed_forward(self, layer: int, language: str) -> FeedForward | None:
        """Return what ends block ``layer`` instead of its residual connection and norm; ``None`` leaves it."""
        return None

    def weights(self, stack: Blocks, language: str) -> dict[str, Tensor]:
        """Return what takes the place of the stack's parameters, by their names in the stack."""
        return {}

    def weights_for(self, language: str) -> str:
        """Return a name that languages share for which :meth:`weights` are the same."""
        return ""

    def beside(self, stack: Blocks) -> AbstractContextManager[None] | None:
        """Return another way to what :meth:`weights` does, without a gradient of the weights: layers compute more.

        Used in training where there is one.
        """
        return None


Build = Callable[[LayerStack, range, Iterable[str]], Adapter]

adapters = Registry("lingraft.adapters", "lingraft.model.adapters")


def linear_layers(
    stack: Blocks, layers: range, targets: Sequence[str] | None = None, beside: Blocks | None = None
) -> list[tuple[int, str]]:
    """Return linear layers of the blocks, as pairs of the block and the name within it.

    Args:
        stack: The frozen layers.
        layers: Which blocks.
        targets: Names within a block (``attention.self.query``), or how they end (``query``); a name
            that exists as it stands means that one only. ``None`` means all.
        beside: Other blocks that a target may name a linear layer of instead.

    Raises:
        ConfigError: A target names no linear layer.
    """
    if not layers:
        return []
    names = _linear_names(stack)
    if targets is None:
        chosen = names
    else:
        known = names if beside is None else list(dict.fromkeys((*names, *_linear_names(beside))))
        chosen = [name for target in targets for name in _matching(target, known) if name in names]
    return [(layer, name) for layer in layers for name in dict.fromkeys(chosen)]


def _linear_names(stack: Blocks) -> list[str]:
    """Return the linear layers of a block; blocks of one backbone are alike."""
    return [name for name, module in stack.layers[0].named_modules() if isinstance(module, nn.Linear)]


def _matching(target: str, names: list[str]) -> Iterator[str]:
    """Yield the names that a target stands for."""
    found = [target] if target in names else [name for name in names if name.endswith(f".{target}")]
    if not found:
        raise ConfigError(
            [f"adapter: {target!r} names no linear layer of this backbone; each block has {', '.join(names)}"]
        )
    yield from found


def is_counted_only(stack: nn.Module) -> bool:
    """Return whether the stack is on the meta device, so that nothing will ever be loaded or trained."""
    return next(stack.parameters()).is_meta


def parameter_place(parameter: str) -> tuple[int, str]:
    """Return the block and the linear layer within it that a parameter's name in the stack stands for."""
    _, layer, name = parameter.removesuffix(".weight").split(".", 2)
    return int(layer), name


def parameter_name(layer: int, name: str, kind: str = "weight") -> str:
    """Return what a linear layer's parameter is called in the stack."""
    return f"layers.{layer}.{name}.{kind}"
