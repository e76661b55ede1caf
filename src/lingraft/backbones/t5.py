"""T5, mT5 and umT5: encoders, whose positions are a bias on attention scores by distance, and who writes their answers.

Raffel et al., 2020; Xue et al., 2021; Chung et al., 2023. Attention scores are not scaled; to each
the model adds a number that depends on the head and on the distance from query to key, in buckets
that grow with it. The first block has the table for all, in umT5 each its own. A prompt has no place
in the text, so what it adds there is zero.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.errors import CheckpointError
from . import Branch, Family, FamilyFacts, FeedForward, add_branches, attend, backbones
from .encoder_decoder import EncoderDecoderStack

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TRAINED_LENGTH = 1024
"""Tokens that mT5 was trained with, whose configuration does not say so; the bias itself has no limit."""


class T5Stack(EncoderDecoderStack):
    """The encoder of a T5, mT5 or umT5 and, where it was loaded, its decoder."""

    facts = FamilyFacts(
        blocks="encoder.block",
        configuration=(
            "feed_forward_proj",
            "layer_norm_epsilon",
            "relative_attention_num_buckets",
            "relative_attention_max_distance",
        ),
        keys_values={"layer.0.SelfAttention.k": 0.0, "layer.0.SelfAttention.v": 0.0},
        feed_forward="layer.1.DenseReluDense.wo",
        config_names={"d_model": "hidden_size", "num_layers": "num_hidden_layers"},
        auto_class="AutoModelForTextEncoding",
        answers_apart=True,
    )

    def __init__(self, model: PreTrainedModel) -> None:
        config: Any = model.config
        _refuse_variants(config)
        super().__init__(
            model,
            num_layers=config.num_layers,
            width=config.d_model,
            max_length=getattr(config, "n_positions", None) or TRAINED_LENGTH,
            scale=_answer_scale(model),
        )
        parts: Any = model
        self.words = parts.get_input_embeddings()
        self.layers: nn.ModuleList = parts.encoder.block
        self.norm: nn.Module = parts.encoder.final_layer_norm
        self.buckets: int = config.relative_attention_num_buckets
        self.farthest: int = config.relative_attention_max_distance

    def embed(self, input_ids: Tensor) -> Tensor:
        """Return words; positions come with attention."""
        states: Tensor = self.words(input_ids)
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
        """Compute full attention with a bias by distance, which virtual tokens have none of."""
        if feed_forward is not None:
            self.refuse_feed_forward()
        query, key, value = self._project(i, hidden)
        bias = self._bias(i, hidden.shape[1] - prompt_length, hidden)
        scores = _hide_padding(F.pad(bias, (prompt_length, 0, prompt_length, 0)), mask)
        context = attend(query, key, value, mask=scores, scale=1.0)
        context = add_branches(context, query, branches, lambda rows: self._project(i, rows)[1:], 1.0)
        return self._after_attention(i, context, hidden)

    def prompted_block(
        self, i: int, hidden: Tensor, mask: Tensor, rows: Tensor, feed_forward: FeedForward | None = None
    ) -> Tensor:
        """Compute keys and values of the virtual tokens once for the whole batch, and nothing else of them."""
        if feed_forward is not None:
            self.refuse_feed_forward()
        query, *own = self._project(i, hidden)
        _, *virtual = self._project(i, rows)
        key, value = (
            torch.cat([part.expand(hidden.shape[0], -1, -1, -1), text], dim=-2)
            for part, text in zip(virtual, own, strict=True)
        )  # [B, heads, P + T, d]
        bias = _hide_padding(self._bias(i, hidden.shape[1], hidden), mask)
        context = attend(query, key, value, mask=F.pad(bias, (len(rows), 0)), scale=1.0)
        return self._after_attention(i, context, hidden)

    def finish(self, hidden: Tensor) -> Tensor:
        """Apply the final norm: blocks normalise on their way in."""
        states: Tensor = self.norm(hidden)
        return states

    def _project(self, i: int, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Make queries, keys and values ``[..., heads, T, d]`` of a block's input ``[..., T, H]``."""
        layer: Any = self.layers[i]
        states, attention = layer.layer[0].layer_norm(hidden), layer.layer[0].SelfAttention
        query, key, value = (
            made.unflatten(-1, (self.num_heads, -1)).transpose(-2, -3)
            for made in (attention.q(states), attention.k(states), attention.v(states))
        )
        return query, key, value

    def _bias(self, i: int, length: int, hidden: Tensor) -> Tensor:
        """Return what a block adds to the scores of a text: ``[1, heads, T, T]``, as ``hidden`` in dtype and device."""
        layers: Any = self.layers
        attention = layers[i].layer[0].SelfAttention
        table = attention if attention.has_relative_attention_bias else layers[0].layer[0].SelfAttention
        positions = torch.arange(length, device=hidden.device)
        distance = positions - positions[:, None]
        chosen: Tensor = table.relative_attention_bias(bucket(distance, buckets=self.buckets, farthest=self.farthest))
        return chosen.permute(2, 0, 1).unsqueeze(0).to(hidden.dtype)

    def _after_attention(self, i: int, context: Tensor, hidden: Tensor) -> Tensor:
        """Compute the rest of a block: ``context [B, heads, T, d]`` and its input ``[B, T, H]`` to its output."""
        layer: Any = self.layers[i]
        attended: Tensor = hidden + layer.layer[0].SelfAttention.o(context.transpose(1, 2).flatten(2))
        # Hugging Face's module puts inner states into the precision that the last matrix is stored in.
        feed_forward, states = layer.layer[1].DenseReluDense, layer.layer[1].layer_norm(attended)
        if hasattr(feed_forward, "wi_0"):
            inner = feed_forward.act(feed_forward.wi_0(states)) * feed_forward.wi_1(states)
        else:
            inner = feed_forward.act(feed_forward.wi(states))
        added: Tensor = feed_forward.wo(inner)
        return attended + added


def bucket(distance: Tensor, *, buckets: int, farthest: int) -> Tensor:
    """Return the bucket of each distance from query to key: one half of them for what comes after, one for the rest.

    Half of a half are single distances, the others ever larger steps up to ``farthest``.

    Args:
        distance: Of any shape, whole numbers.
        buckets: How many there are.
        farthest: From here on, distances share the last bucket.
    """
    half = buckets // 2
    near = half // 2
    away = distance.abs()
    # float32, operation by operation like the original: a distance on the edge must not change its bucket.
    steps = torch.log(away.clamp(min=1).float() / near) / math.log(farthest / near) * (half - near)
    far = (near + steps.long()).clamp(max=half - 1)
    return torch.where(away < near, away, far) + (distance > 0).long() * half


def _hide_padding(scores: Tensor, mask: Tensor) -> Tensor:
    """Take ``mask [B, T]`` into what is added to the scores ``[1, heads, S, T]``: ``[B, heads, S, T]``."""
    return scores.masked_fill(~mask.bool()[:, None, None, :], torch.finfo(scores.dtype).min)


def _answer_scale(model: PreTrainedModel) -> float:
    """Return the factor of the decoder's last states: ``H ** -0.5`` where words make the logits too, as in T5 1.0.

    mT5 has none. T5's configuration says it; that of umT5, as transformers 5 reads it, says yes of every checkpoint.
    """
    config, parts = model.config, cast(Any, model)
    if config.model_type == "mt5" or not hasattr(model, "decoder"):
        return 1.0
    tied = parts.lm_head.weight is parts.get_input_embeddings().weight
    scaled: bool = getattr(config, "scale_decoder_outputs", tied)
    return float(config.d_model**-0.5) if scaled else 1.0


def _refuse_variants(config: Any) -> None:
    if config.is_decoder:
        raise CheckpointError(
            f"this {config.model_type} checkpoint is configured as a decoder alone (is_decoder: true); choose one "
            "with its encoder"
        )
    buckets, farthest = config.relative_attention_num_buckets, config.relative_attention_max_distance
    if buckets < 4 or farthest <= buckets // 4:
        raise CheckpointError(
            f"config.json: relative_attention_num_buckets is {buckets} and relative_attention_max_distance {farthest}; "
            "expected at least 4 buckets, and a distance larger than a quarter of them"
        )


@backbones.register("t5")
@backbones.register("mt5")
@backbones.register("umt5")
def t5() -> Family:
    """T5, mT5 and umT5 (mT0, Aya, Flan-T5): the encoder is run layer by layer, the decoder writes answers."""
    return T5Stack
