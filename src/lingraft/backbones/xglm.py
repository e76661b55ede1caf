"""XGLM: sinusoidal positions in the embedding, norms before attention and feed-forward (Lin et al., 2022)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import Family, FamilyFacts, backbones
from .causal import CausalStack, project_apart

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class XglmStack(CausalStack):
    """The decoder of an ``XGLMModel``."""

    facts = FamilyFacts(
        blocks="layers",
        configuration=("activation_function", "scale_embedding"),
        keys_values={"self_attn.k_proj": 0.0, "self_attn.v_proj": 0.0},
        feed_forward="fc2",
        config_names={"num_layers": "num_hidden_layers", "d_model": "hidden_size"},
        pooling="content",
        causal=True,
    )

    def __init__(self, model: PreTrainedModel) -> None:
        config: Any = model.config
        super().__init__(model, max_length=config.max_position_embeddings)
        parts: Any = model
        self.words: nn.Module = parts.embed_tokens
        theirs = parts.embed_positions  # rounded, if the weights are stored in 16 bit
        self.positions: nn.Module = type(theirs)(theirs.num_positions, theirs.embedding_dim, theirs.padding_idx)
        self.layers: nn.ModuleList = parts.layers
        self.norm = parts.layer_norm
        self.words_scale = math.sqrt(config.hidden_size) if config.scale_embedding else 1.0

    def embed(self, input_ids: Tensor, positions: Tensor | None = None) -> Tensor:
        """Return the sum of words, widened before they are scaled, and positions."""
        words: Any = self.words
        if positions is None:
            positions = torch.arange(input_ids.shape[1], device=input_ids.device)[None, :]
        placed: Tensor = self.positions(positions)
        return placed + F.embedding(input_ids, words.weight).float() * self.words_scale

    def project(self, i: int, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project the normalised states."""
        layer: Any = self.layers[i]
        return project_apart(layer.self_attn, layer.self_attn_layer_norm(hidden))

    def scale(self, i: int) -> float:
        """Return what Hugging Face's module says."""
        scaling: float = self.layers[i].self_attn.scaling  # type: ignore[union-attr, assignment]
        return scaling

    def after_attention(self, i: int, context: Tensor, hidden: Tensor) -> Tensor:
        """Add attention, then the feed-forward network on normalised states."""
        layer: Any = self.layers[i]
        hidden = hidden + layer.self_attn.out_proj(context)
        states: Tensor = hidden + layer.fc2(layer.activation_fn(layer.fc1(layer.final_layer_norm(hidden))))
        return states


@backbones.register("xglm")
def xglm() -> Family:
    """XGLM, a multilingual decoder with sinusoidal positions."""
    return XglmStack
