"""GPT-2: absolute positions in the embedding, norms before attention and feed-forward (Radford et al., 2019).

Its projections are stored as ``Conv1D``, a linear layer with the matrix turned over. They are turned
back once, so that whatever adapts a linear layer adapts GPT-2 as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from . import Family, FamilyFacts, backbones
from .causal import CausalStack, by_head

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Gpt2Stack(CausalStack):
    """The decoder of a ``GPT2Model``."""

    facts = FamilyFacts(
        blocks="h",
        configuration=(
            "activation_function",
            "layer_norm_epsilon",
            "scale_attn_weights",
            "scale_attn_by_inverse_layer_idx",
        ),
        keys_values={"attn.c_attn": 1 / 3},
        feed_forward="mlp.c_proj",
        config_names={"n_layer": "num_hidden_layers", "n_embd": "hidden_size"},
        pooling="content",
        causal=True,
    )

    def __init__(self, model: PreTrainedModel) -> None:
        config: Any = model.config
        super().__init__(model, max_length=config.max_position_embeddings)
        parts: Any = model
        self.words: nn.Module = parts.wte
        self.positions: nn.Module = parts.wpe
        self.layers: nn.ModuleList = parts.h
        self.norm = parts.ln_f
        for layer in parts.h:
            for owner, name in (
                (layer.attn, "c_attn"),
                (layer.attn, "c_proj"),
                (layer.mlp, "c_fc"),
                (layer.mlp, "c_proj"),
            ):
                setattr(owner, name, _as_linear(getattr(owner, name)))

    def embed(self, input_ids: Tensor, positions: Tensor | None = None) -> Tensor:
        """Return the sum of words and positions."""
        if positions is None:
            positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        states: Tensor = self.words(input_ids) + self.positions(positions)
        return states

    def project(self, i: int, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project the normalised states by one matrix."""
        layer: Any = self.layers[i]
        together = layer.attn.c_attn(layer.ln_1(hidden))
        query, key, value = (by_head(part, layer.attn.head_dim) for part in together.chunk(3, dim=-1))
        return query, key, value

    def scale(self, i: int) -> float:
        """Return what Hugging Face's module says."""
        scaling: float = self.layers[i].attn.scaling  # type: ignore[union-attr, assignment]
        return scaling

    def after_attention(self, i: int, context: Tensor, hidden: Tensor) -> Tensor:
        """Add attention, then the feed-forward network on normalised states."""
        layer: Any = self.layers[i]
        hidden = hidden + layer.attn.c_proj(context)
        states: Tensor = hidden + layer.mlp(layer.ln_2(hidden))
        return states


def _as_linear(stored: Any) -> nn.Linear:
    """Return a ``Conv1D`` with weight ``[inputs, outputs]`` as the linear layer that computes the same."""
    inputs, outputs = stored.weight.shape
    with torch.device("meta"):
        linear = nn.Linear(inputs, outputs)
    linear.weight = nn.Parameter(stored.weight.detach().T.contiguous(), requires_grad=False)
    linear.bias = stored.bias
    return linear.eval()


@backbones.register("gpt2")
def gpt2() -> Family:
    """GPT-2 and models of its shape (DistilGPT-2)."""
    return Gpt2Stack
