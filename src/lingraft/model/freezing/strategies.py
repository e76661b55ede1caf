"""Freezing strategies: all frozen, the top, step by step, the head first, biases and norms, everything."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...backbones import LayerStack
from ...core.amounts import Layers, LayersOrNone
from ...core.records import IDS
from . import Phase, Strategy, freezing, of_layers


@freezing.register("frozen")
def frozen() -> Strategy:
    """Keep the whole backbone as it is; only prompts, adapters and head learn."""
    return Strategy(lambda num_layers: num_layers, lambda stack: (Phase(),))


@freezing.register("top_layers")
def top_layers(*, layers: Layers = 4) -> Strategy:
    """Unfreeze the uppermost layers from the first step on."""
    return Strategy(
        lambda num_layers: max(0, num_layers - layers), lambda stack: (Phase(0.0, of_layers(stack, layers)),)
    )


@freezing.register("gradual")
def gradual(*, layers: Layers = 4) -> Strategy:
    """Gradual unfreezing: first no layer, then one more from the top at equal intervals (Howard & Ruder, 2018)."""

    def phases(stack: LayerStack) -> tuple[Phase, ...]:
        steps = min(layers, stack.num_layers)  # what is not there takes no time to unfreeze
        return tuple(Phase(i / (steps + 1), of_layers(stack, i)) for i in range(steps + 1))

    return Strategy(lambda num_layers: max(0, num_layers - layers), phases)


@freezing.register("head_first")
def head_first(*, share: Annotated[float, Field(gt=0, lt=1)] = 0.25, layers: LayersOrNone = 0) -> Strategy:
    """Train the head alone for a share of the steps, then all parts and the top layers (Kumar et al., 2022)."""

    def phases(stack: LayerStack) -> tuple[Phase, ...]:
        return Phase(head_only=True), Phase(share, of_layers(stack, layers))

    return Strategy(lambda num_layers: max(0, num_layers - layers), phases)


@freezing.register("biases_and_norms")
def biases_and_norms(*, layers: Layers | None = None) -> Strategy:
    """Biases and norms of the layers, of all or the uppermost (Ben Zaken et al., 2022)."""

    def phases(stack: LayerStack) -> tuple[Phase, ...]:
        shapes = dict(stack.named_parameters())
        chosen = of_layers(stack, layers or stack.num_layers)
        return (Phase(0.0, frozenset(name for name in chosen if shapes[name].ndim == 1)),)

    return Strategy(lambda num_layers: max(0, num_layers - (layers or num_layers)), phases)


@freezing.register("full")
def full() -> Strategy:
    """Full fine-tuning: every parameter learns, embeddings included."""
    return Strategy(lambda num_layers: IDS, lambda stack: (Phase(0.0, frozenset(dict(stack.named_parameters()))),))
