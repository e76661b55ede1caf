"""Llama and Mistral: rotary positions, keys and values shared by groups of heads, gated feed-forward.

Touvron et al., 2023; Jiang et al., 2023. SmolLM2 and many others are Llamas; a Mistral may look back
over a window only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from . import Family, FamilyFacts, backbones
from .causal import CausalStack, project_apart
from .rotary import Rotary

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class LlamaStack(CausalStack):
    """The decoder of a ``LlamaModel``."""

    facts = FamilyFacts(
        blocks="layers",
        configuration=("hidden_act", "rms_norm_eps", "rope_parameters"),
        keys_values={"self_attn.k_proj": 0.0, "self_attn.v_proj": 0.0},
        feed_forward="mlp.down_proj",
        pooling="content",
        causal=True,
    )

    def __init__(self, model: PreTrainedModel) -> None:
        config: Any = model.config
        window = getattr(config, "sliding_window", None)
        kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * config.num_hidden_layers
        super().__init__(
            model,
            max_length=config.max_position_embeddings,
            windows=[window if kind == "sliding_attention" else None for kind in kinds],
        )
        parts: Any = model
        self.words: nn.Module = parts.embed_tokens
        self.layers: nn.ModuleList = parts.layers
        self.rotary = Rotary(parts.rotary_emb)
        self.norm = parts.norm

    def project(self, i: int, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project the normalised states."""
        layer: Any = self.layers[i]
        return project_apart(layer.self_attn, layer.input_layernorm(hidden))

    def scale(self, i: int) -> float:
        """Return what Hugging Face's module says."""
        scaling: float = self.layers[i].self_attn.scaling  # type: ignore[union-attr, assignment]
        return scaling

    def place(self, i: int, states: Tensor, at: int | Tensor) -> Tensor:
        """Rotate."""
        return self.rotary.turn(states, at)

    def after_attention(self, i: int, context: Tensor, hidden: Tensor) -> Tensor:
        """Add attention, then the feed-forward network on normalised states."""
        layer: Any = self.layers[i]
        hidden = hidden + layer.self_attn.o_proj(context)
        states: Tensor = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        return states


class MistralStack(LlamaStack):
    """The decoder of a ``MistralModel``."""

    facts = replace(LlamaStack.facts, configuration=(*LlamaStack.facts.configuration, "sliding_window"))


@backbones.register("llama")
def llama() -> Family:
    """Llama and its relatives (SmolLM2, TinyLlama)."""
    return LlamaStack


@backbones.register("mistral")
def mistral() -> Family:
    """Mistral: a Llama with a window, or without in later checkpoints."""
    return MistralStack
