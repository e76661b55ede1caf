"""Learned factors on keys, values and the feed-forward network ((IA)³; Liu et al., 2022).

A factor for each output of a linear layer is a factor for each row of its weight, and a factor for
each input one for each column. So the factors go into the weights, once per step, and the forward pass
itself costs nothing more. Factors are ``1 + delta`` with ``delta`` zero at first; those of the task
part, which all languages share, and of a language part are multiplied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from ...backbones import Blocks, LayerStack
from ...core.errors import ConfigError
from ..answering import answering
from . import Adapter, Build, adapters, linear_layers, parameter_name


@adapters.register("scaling")
def scaling(
    *,
    targets: list[str] | None = None,
    feed_forward: list[str] | None = None,
    language: bool = True,
    decoder: bool | None = None,
) -> Build:
    """(IA)³: factors for keys, values (`targets`: outputs) and the feed-forward's inner states (inputs).

    Those of the decoder that writes an encoder-decoder's answers have some, too, unless `decoder: false`.
    """

    def places_in(blocks: Blocks, layers: range, beside: Blocks | None) -> list[Place]:
        outputs = list(blocks.facts.keys_values) if targets is None else targets
        inputs = [blocks.facts.feed_forward] if feed_forward is None else feed_forward
        return [*_places(blocks, layers, outputs, beside, side=0), *_places(blocks, layers, inputs, beside, side=1)]

    def build(stack: LayerStack, layers: range, languages: Iterable[str]) -> Adapter:
        writer, own = answering(stack, decoder, "adapter"), list(languages) if language else []
        adapter = ScalingAdapter(places_in(stack, layers, writer), own)
        if writer and (places := places_in(writer, range(len(writer.layers)), stack)):
            adapter.decoder = ScalingAdapter(places, own)
        if layers and not adapter.places and adapter.decoder is None:
            raise ConfigError(
                ["adapter: `targets` and `feed_forward` are both empty, so nothing is scaled; name a layer"]
            )
        return adapter

    return build


Place = tuple[int, str, int, int]  # block, linear layer within it, 0 for its outputs or 1 for its inputs, how many


def _places(stack: Blocks, layers: range, targets: list[str], beside: Blocks | None, *, side: int) -> Iterator[Place]:
    """Yield where factors go."""
    for layer, name in linear_layers(stack, layers, targets, beside):
        length = stack.computed_with(parameter_name(layer, name)).shape[side]
        if side == 0:
            with torch.device("cpu"):
                length -= int(stack.queries(name, length).sum())  # they are not scaled
        yield layer, name, side, length


class ScalingAdapter(Adapter):
    """The deltas: ``task.LAYER.NAME/outputs`` or ``…/inputs``, and the same under ``language.CODE``."""

    def __init__(self, places: list[Place], languages: Iterable[str]) -> None:
        super().__init__()
        self.places = places

        def part() -> nn.ModuleDict:
            deltas: dict[str, nn.ParameterDict] = {}
            for layer, name, side, length in places:
                of_layer = deltas.setdefault(str(layer), nn.ParameterDict())
                of_layer[_key(name, side)] = nn.Parameter(torch.zeros(length))
            return nn.ModuleDict(deltas)

        self.task = part()
        self.language = nn.ModuleDict({code: part() for code in languages})

    def weights_for(self, language: str) -> str:
        """Return the language where it has factors of its own."""
        return language if language in self.language else ""

    def weights(self, stack: Blocks, language: str) -> dict[str, Tensor]:
        """Return the scaled weights and biases."""
        replaced: dict[str, Tensor] = {}

        def current(name: str) -> Tensor:  # a layer may be scaled on both sides
            return replaced[name] if name in replaced else stack.computed_with(name)

        parts = [self.task]
        if language in self.language:
            parts.append(self.language[language])  # type: ignore[arg-type]
        for layer, name, side, length in self.places:
            weight, bias = parameter_name(layer, name), parameter_name(layer, name, "bias")
            deltas: list[Tensor] = [part[str(layer)][_key(name, side)] for part in parts]  # type: ignore[index]
            factors = torch.stack([1 + delta for delta in deltas]).prod(dim=0).to(current(weight).device)
            if side == 0 and length < len(current(weight)):  # a fused projection, whose queries keep the factor 1
                scaled = ~stack.queries(name, len(current(weight))).to(factors.device)
                factors = torch.ones_like(scaled, dtype=factors.dtype).masked_scatter(scaled, factors)
            replaced[weight] = current(weight) * (factors[:, None] if side == 0 else factors)
            if side == 0 and stack.get_submodule(f"layers.{layer}.{name}").bias is not None:
                replaced[bias] = current(bias) * factors
        return replaced


def _key(name: str, side: int) -> str:
    """Return a parameter's name, which must not hold dots."""
    return f"{name.replace('.', '/')}/{('outputs', 'inputs')[side]}"
