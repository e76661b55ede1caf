"""BERT, RoBERTa and XLM-RoBERTa: absolute positions in the embedding, full attention in every block.

Devlin et al., 2019; Liu et al., 2019; Conneau et al., 2020. The embedded multilingual-e5-small is
a BERT. Hugging Face's three implementations differ only in how positions are counted, and each
embedding module does that itself: RoBERTa's counts the tokens that are not padding, from
``padding_idx + 1``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.errors import CheckpointError
from . import Branch, Family, FamilyFacts, FeedForward, LayerStack, add_branches, attend, backbones, visible

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class BertStack(LayerStack):
    """The encoder of a ``BertModel``, ``RobertaModel`` or ``XLMRobertaModel``."""

    facts = FamilyFacts(
        blocks="encoder.layer",
        configuration=("hidden_act", "layer_norm_eps"),
        keys_values={"attention.self.key": 0.0, "attention.self.value": 0.0},
        feed_forward="output.dense",
        adapter_inside=True,
    )

    def __init__(self, model: PreTrainedModel) -> None:
        config: Any = model.config
        if config.is_decoder:
            raise CheckpointError(
                f"this {config.model_type} checkpoint is configured as a decoder (is_decoder: true), which reads a "
                "text from left to right only; choose the encoder of the same family"
            )
        offset = 0 if config.model_type == "bert" else config.pad_token_id + 1
        super().__init__(
            model,
            num_layers=config.num_hidden_layers,
            width=config.hidden_size,
            max_length=config.max_position_embeddings - offset,
        )
        model.set_attn_implementation("sdpa")  # the blocks pick their kernel by the configuration they share
        parts: Any = model
        self.embeddings: nn.Module = parts.embeddings
        self.layers: nn.ModuleList = parts.encoder.layer

    def embed(self, input_ids: Tensor) -> Tensor:
        """Return the sum of words, positions and token type 0, normalised."""
        states: Tensor = self.embeddings(input_ids=input_ids)
        return states

    def block(
        self,
        i: int,
        hidden: Tensor,
        mask: Tensor,
        prompt_length: int = 0,
        branches: tuple[Branch, ...] = (),
        feed_forward: FeedForward | None = None,
    ) -> Tensor:
        """Compute full attention, in which a virtual token is a token like any other."""
        layer: Any = self.layers[i]
        if not branches and feed_forward is None and self.precision == "float32":
            states: Tensor = layer(hidden, visible(mask))
            return states
        attention = layer.attention.self
        query, key, value = (
            _by_head(project(hidden), attention) for project in (attention.query, attention.key, attention.value)
        )
        context = attend(query, key, value, mask=visible(mask))
        context = add_branches(
            context,
            query,
            branches,
            lambda rows: (_by_head(attention.key(rows), attention), _by_head(attention.value(rows), attention)),
            attention.scaling,
        )
        return _after_attention(layer, context, hidden, feed_forward)

    def prompted_block(
        self, i: int, hidden: Tensor, mask: Tensor, rows: Tensor, feed_forward: FeedForward | None = None
    ) -> Tensor:
        """Compute keys and values of the virtual tokens once for the whole batch; no queries, no feed-forward for them.

        With 24 virtual tokens and sentences of 30 this nearly halves the cost of a step.
        """
        layer: Any = self.layers[i]
        attention = layer.attention.self

        def with_rows(projection: nn.Module) -> Tensor:
            virtual = _by_head(projection(rows), attention).expand(hidden.shape[0], -1, -1, -1)
            return torch.cat([virtual, _by_head(projection(hidden), attention)], dim=2)  # [B, heads, P + T, d]

        seen = visible(mask)
        if seen is not None:
            seen = F.pad(seen, (len(rows), 0), value=True)
        query = _by_head(attention.query(hidden), attention)
        context = attend(query, with_rows(attention.key), with_rows(attention.value), mask=seen)
        return _after_attention(layer, context, hidden, feed_forward)


def _by_head(states: Tensor, attention: Any) -> Tensor:
    """Turn ``[..., T, H]`` into ``[..., heads, T, d]``."""
    return states.view(*states.shape[:-1], -1, attention.attention_head_size).transpose(-2, -3)


def _after_attention(layer: Any, context: Tensor, hidden: Tensor, feed_forward: FeedForward | None) -> Tensor:
    """Compute the rest of a block: ``context [B, heads, T, d]`` and its input ``[B, T, H]`` to its output."""
    attended = layer.attention.output(context.transpose(1, 2).flatten(2), hidden)
    widened = layer.intermediate(attended)
    if feed_forward is not None:
        return feed_forward(layer.output.dense(widened), attended, layer.output.LayerNorm)
    states: Tensor = layer.output(widened, attended)
    return states


@backbones.register("bert")
@backbones.register("roberta")
@backbones.register("xlm-roberta")
def bert() -> Family:
    """BERT, RoBERTa, XLM-R and their relatives (multilingual E5, AfroXLMR, Glot500)."""
    return BertStack
