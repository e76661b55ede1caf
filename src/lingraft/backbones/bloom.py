"""BLOOM: no positions at all but a penalty on distance, another for each head (ALiBi: Press et al., 2022).

BigScience, 2022. A prompt has no place in the text, so no distance takes it away: scores of virtual
tokens have no penalty.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from . import Family, FamilyFacts, backbones
from .causal import CausalStack, causal_mask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TRAINED_LENGTH = 2048
"""Tokens that BLOOM was trained with; the penalty itself has no limit."""


class BloomStack(CausalStack):
    """The decoder of a ``BloomModel``."""

    facts = FamilyFacts(
        blocks="h",
        configuration=("layer_norm_epsilon", "apply_residual_connection_post_layernorm"),
        keys_values={"self_attention.query_key_value": 1 / 3},
        feed_forward="mlp.dense_4h_to_h",
        config_names={"n_layer": "num_hidden_layers", "n_embed": "hidden_size"},
        pooling="content",
        causal=True,
    )

    def __init__(self, model: PreTrainedModel) -> None:
        config: Any = model.config
        super().__init__(model, max_length=getattr(config, "seq_length", None) or TRAINED_LENGTH)
        parts: Any = model
        self.words: nn.Module = parts.word_embeddings
        self.words_norm: nn.Module = parts.word_embeddings_layernorm
        self.layers: nn.ModuleList = parts.h
        self.norm = parts.ln_f

    def embed(self, input_ids: Tensor, positions: Tensor | None = None) -> Tensor:
        """Return words, normalised."""
        states: Tensor = self.words_norm(self.words(input_ids))
        return states

    def project(self, i: int, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project the normalised states by one matrix, whose rows go by head: query, key and value of each."""
        layer: Any = self.layers[i]
        attention = layer.self_attention
        together = attention.query_key_value(layer.input_layernorm(hidden))
        by_head = together.unflatten(-1, (self.num_heads, 3, attention.head_dim))  # [..., T, heads, 3, d]
        query, key, value = (part.transpose(-2, -3) for part in by_head.unbind(dim=-2))
        return query, key, value

    def queries(self, name: str, rows: int) -> Tensor:
        """Return the first third of each head's rows."""
        if name not in self.facts.keys_values:
            return super().queries(name, rows)
        return (torch.arange(rows) // (self.width // self.num_heads)) % 3 == 0

    def scale(self, i: int) -> float:
        """Return one over the root of a head's width."""
        return float((self.width // self.num_heads) ** -0.5)

    def seen(self, i: int, rows: Tensor, columns: Tensor, prompt_length: int) -> Tensor:
        """Return the penalties ``[..., heads, T, S]``, minus infinity for what comes later."""
        distance = rows[..., :, None] - columns[..., None, :]
        distance = distance.masked_fill((columns < prompt_length)[..., None, :], 0)
        penalty = -slopes(self.num_heads, rows.device)[:, None, None] * distance
        return penalty.masked_fill(~causal_mask(rows, columns), -torch.inf)

    def after_attention(self, i: int, context: Tensor, hidden: Tensor) -> Tensor:
        """Add attention, then the feed-forward network; some checkpoints add to the normalised states."""
        layer: Any = self.layers[i]
        on_norm: bool = layer.apply_residual_connection_post_layernorm
        attended = layer.self_attention.dense(context) + (layer.input_layernorm(hidden) if on_norm else hidden)
        normalised = layer.post_attention_layernorm(attended)
        states: Tensor = layer.mlp(normalised, normalised if on_norm else attended)
        return states


def slopes(heads: int, device: torch.device) -> Tensor:
    """Return each head's penalty for one token of distance: ``[heads]``.

    They fall from head to head by the same factor, down to 1/256. Where the number of heads is no power of two,
    the ones that are left over take every second value of a row twice as fine.
    """
    power = 2 ** math.floor(math.log2(heads))
    even = [2 ** (-8 * (n + 1) / power) for n in range(power)]
    between = [2 ** (-4 * (2 * n + 1) / power) for n in range(heads - power)]
    return torch.tensor(even + between, device=device)


@backbones.register("bloom")
def bloom() -> Family:
    """BLOOM and BLOOMZ, with a penalty on distance for positions."""
    return BloomStack
