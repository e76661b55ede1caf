"""The first layers of a backbone, for who reads texts after fewer than all.

What is left out is neither run nor kept. States after the last layer that is there go through the model's own final
norm, as those of the whole model do; so whatever reads, adapts or caches a backbone does the same with a shorter one.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from . import LayerStack
from .digests import weights_digest
from .loading import Backbone
from .walk import Ids, at_layer, length_batches, pad_batch, pooled_end


def first_layers(stack: LayerStack, layers: int) -> LayerStack:
    """Return a stack of the first ``layers`` blocks, 1 to ``L``, which shares its modules with ``stack``."""
    if layers == stack.num_layers:
        return stack
    if not 0 < layers < stack.num_layers:
        raise ValueError(f"expected 1 to {stack.num_layers} layers, got {layers}")
    short = copy(stack)
    short._modules = dict(stack._modules)  # a copy of a module shares this mapping with it
    short.layers = nn.ModuleList(list(stack.layers)[:layers])
    short.num_layers = layers
    return short


def shortened(backbone: Backbone, layers: int) -> Backbone:
    """Return a backbone of the first ``layers`` blocks; its digest is that of what is left."""
    if layers == backbone.stack.num_layers:
        return backbone
    stack = first_layers(backbone.stack, layers)
    whole = backbone.checkpoint_digest or backbone.weights_digest
    return replace(backbone, stack=stack, weights_digest=weights_digest(stack), checkpoint_digest=whole)


def pooled_after(ids: Ids, stack: LayerStack, layers: list[int], device: torch.device) -> dict[int, Tensor]:
    """Compute what texts would be pooled to if each of some layers were the last: layer to ``[N, H]``, on the CPU.

    Args:
        ids: Token ids of ``N`` texts.
        stack: The frozen layers.
        layers: In rising order.
        device: Where the stack is.
    """
    found = {layer: torch.empty(len(ids), stack.width) for layer in layers}
    for rows in length_batches([len(text) for text in ids]):
        with torch.inference_mode():
            states = pad_batch([ids[row] for row in rows], stack, device)
            for layer in layers:
                states = at_layer(stack, states, layer)
                found[layer][rows] = pooled_end(stack, states).float().cpu()
    return found
