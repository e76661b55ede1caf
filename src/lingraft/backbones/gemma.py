"""Gemma 3, its text model: windows in most layers, two rotary bases, norms on both sides of every sub-layer.

Gemma Team, 2025. The base of the rotation is 10,000 in layers with a window and a million in the
others. Words are scaled by the root of the width when they are looked up, so states at layer 0, and
a prompt among them, are on the scaled side.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from . import Family, backbones
from .llama import LlamaStack

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Gemma3Stack(LlamaStack):
    """The decoder of a ``Gemma3TextModel``."""

    facts = replace(
        LlamaStack.facts,
        configuration=(
            "hidden_activation",
            "rms_norm_eps",
            "rope_parameters",
            "sliding_window",
            "layer_types",
            "query_pre_attn_scalar",
        ),
    )

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        config: Any = model.config
        self.kinds: list[str] = list(config.layer_types)

    def embed(self, input_ids: Tensor, positions: Tensor | None = None) -> Tensor:
        """Return words, widened before they are scaled: in bfloat16 the factor itself would be rounded."""
        words: Any = self.words
        states: Tensor = F.embedding(input_ids, words.weight).float() * words.scalar_embed_scale
        return states

    def project(self, i: int, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project the normalised states, and normalise the queries and keys of each head."""
        query, key, value = super().project(i, hidden)
        attention: Any = self.layers[i].self_attn
        return attention.q_norm(query), attention.k_norm(key), value

    def place(self, i: int, states: Tensor, at: int | Tensor) -> Tensor:
        """Rotate by the base of the layer's kind."""
        return self.rotary.turn(states, at, self.kinds[i])

    def after_attention(self, i: int, context: Tensor, hidden: Tensor) -> Tensor:
        """Add attention and the feed-forward network, each normalised before it is added."""
        layer: Any = self.layers[i]
        hidden = hidden + layer.post_attention_layernorm(layer.self_attn.o_proj(context))
        widened = layer.mlp(layer.pre_feedforward_layernorm(hidden))
        states: Tensor = hidden + layer.post_feedforward_layernorm(widened)
        return states


@backbones.register("gemma3_text")
def gemma3() -> Family:
    """Gemma 3 without its eyes: the text model alone."""
    return Gemma3Stack
