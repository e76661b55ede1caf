"""DeBERTa v2 and v3 (mDeBERTa): attention by content and by relative position.

He et al., 2021 and 2023. A query's score for a key is ``content . content`` plus, as the checkpoint
chooses, ``content . position`` (c2p) and ``position . content`` (p2c), where positions are embedded
distances, in logarithmic buckets. Hugging Face multiplies every query with the embedding of every
distance that exists, once per text of the batch; we take only the distances that the text's length
allows, share them over the batch, and give the sum to scaled-dot-product attention as its mask.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..core.errors import CheckpointError
from . import Branch, Family, FamilyFacts, FeedForward, LayerStack, add_branches, attend, backbones

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class DebertaStack(LayerStack):
    """The encoder of a ``DebertaV2Model``."""

    facts = FamilyFacts(
        blocks="encoder.layer",
        configuration=(
            "hidden_act",
            "layer_norm_eps",
            "relative_attention",
            "position_buckets",
            "max_relative_positions",
            "pos_att_type",
            "share_att_key",
            "norm_rel_ebd",
            "position_biased_input",
        ),
        keys_values={"attention.self.key_proj": 0.0, "attention.self.value_proj": 0.0},
        feed_forward="output.dense",
    )

    def __init__(self, model: PreTrainedModel) -> None:
        config: Any = model.config
        _refuse_variants(config)
        super().__init__(
            model,
            num_layers=config.num_hidden_layers,
            width=config.hidden_size,
            max_length=config.max_position_embeddings,
        )
        parts: Any = model
        encoder: Any = parts.encoder
        self.embeddings: nn.Module = parts.embeddings
        self.layers: nn.ModuleList = encoder.layer
        self.convolution: nn.Module | None = encoder.conv  # only the larger v2 checkpoints have one
        self.distances: nn.Embedding = encoder.rel_embeddings
        self.distance_norm: nn.Module = encoder.LayerNorm if "layer_norm" in encoder.norm_rel_ebd else nn.Identity()
        self.padding = config.pad_token_id
        self.buckets: int = encoder.position_buckets
        self.farthest: int = encoder.max_relative_positions
        self._distances: tuple[tuple[object, ...], tuple[int, int, Tensor]] | None = None

    def embed(self, input_ids: Tensor) -> Tensor:
        """Return words, and where the checkpoint has them positions and token type 0, normalised; padding is zero."""
        states: Tensor = self.embeddings(input_ids=input_ids, mask=input_ids != self.padding)
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
        """Compute disentangled attention; virtual tokens count as positions before the text, a branch has none."""
        if feed_forward is not None:
            self.refuse_feed_forward()
        layer: Any = self.layers[i]
        keep = mask.bool()
        attended = self._attend(layer.attention.self, hidden, keep, branches)
        attended = layer.attention.output(attended, hidden)
        states: Tensor = layer.output(layer.intermediate(attended), attended)
        if i == 0 and self.convolution is not None:
            # Text by text: the kernel of a convolution is chosen by the size of the batch, and rounds accordingly.
            inputs = zip(
                *(torch.split(part, 1) for part in (hidden * keep[:, :, None], states, keep.long())), strict=True
            )
            states = torch.cat([self.convolution(*one) for one in inputs])
        return states

    def _attend(self, attention: Any, hidden: Tensor, keep: Tensor, branches: tuple[Branch, ...]) -> Tensor:
        """Turn ``[B, T, H]`` into ``[B, T, H]`` through one block's attention; ``keep`` is ``[B, T]``."""
        heads = attention.num_attention_heads
        query = _by_head(attention.query_proj(hidden), heads)  # [B, heads, T, d]
        key = _by_head(attention.key_proj(hidden), heads)
        value = _by_head(attention.value_proj(hidden), heads)
        kinds = attention.pos_att_type
        scale = 1 / math.sqrt(query.shape[-1] * (1 + ("c2p" in kinds) + ("p2c" in kinds)))

        embedded, index = self._reachable(hidden)  # [D, H], [T, T]
        bias = hidden.new_zeros(())
        if "c2p" in kinds:
            project = attention.key_proj if attention.share_att_key else attention.pos_key_proj
            bias = bias + _look_up(query, _by_head(project(embedded), heads), index)
        if "p2c" in kinds:
            project = attention.query_proj if attention.share_att_key else attention.pos_query_proj
            bias = bias + _look_up(key, _by_head(project(embedded), heads), index.T).transpose(-1, -2)
        bias = (bias * scale).masked_fill(~keep[:, None, None, :], torch.finfo(bias.dtype).min)

        context = attend(query, key, value, mask=bias, scale=scale)
        context = add_branches(  # content to content: a branch has no distance from a word
            context,
            query,
            branches,
            lambda rows: (_by_head(attention.key_proj(rows), heads), _by_head(attention.value_proj(rows), heads)),
            scale,
        )
        return context.transpose(1, 2).flatten(2)

    def _reachable(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a text of this length needs of the distance embeddings.

        The rows are kept for the next block; the embeddings are not, since a run may train them.

        Returns:
            ``[D, H]`` embeddings of the distances that occur, and ``[T, T]`` the row of each
            query-key pair among them.
        """
        key = (hidden.shape[1], hidden.device)
        known = self._distances
        if known is None or known[0] != key:
            with torch.inference_mode(False):  # what is kept while encoding must still serve training
                positions = torch.arange(hidden.shape[1], device=hidden.device)
                row = bucket(positions[:, None] - positions[None, :], buckets=self.buckets, farthest=self.farthest)
                span = self.distances.num_embeddings // 2
                row = (row + span).clamp(0, 2 * span - 1)
                first, last = int(row.min()), int(row.max())
                known = self._distances = key, (first, last + 1, row - first)
        first, last, row = known[1]
        return self.distance_norm(self.distances.weight[first:last]).to(hidden.dtype), row


@backbones.register("deberta-v2")
def deberta() -> Family:
    """DeBERTa v2 and v3, mDeBERTa among them, with relative positions."""
    return DebertaStack


def bucket(distance: Tensor, *, buckets: int, farthest: int) -> Tensor:
    """Keep near distances, and map far ones to logarithmic steps; a negative ``buckets`` keeps all."""
    if buckets <= 0 or farthest <= 0:
        return distance
    near = buckets // 2
    # float32, operation by operation like the original: a distance on the edge must not change its bucket.
    steps = torch.log(distance.abs().clamp(min=near) / near) / torch.log(torch.tensor((farthest - 1) / near))
    far = torch.ceil(steps * (near - 1)).long() + near
    return torch.where(distance.abs() <= near, distance, far * distance.sign())


def _look_up(content: Tensor, position: Tensor, index: Tensor) -> Tensor:
    """Return ``content . position`` for the distance of each pair: ``[B, heads, T, T]``.

    Args:
        content: ``[B, heads, T, d]``.
        position: ``[heads, D, d]``, shared by the batch.
        index: ``[T, T]`` into the ``D`` distances.
    """
    scores = content @ position.transpose(-1, -2)  # [B, heads, T, D]
    return scores.gather(-1, index.expand(*scores.shape[:2], *index.shape))


def _by_head(states: Tensor, heads: int) -> Tensor:
    """Turn ``[..., T, heads * d]`` into ``[..., heads, T, d]``."""
    return states.view(*states.shape[:-1], heads, -1).transpose(-2, -3)


def _refuse_variants(config: Any) -> None:
    if not getattr(config, "relative_attention", False):
        raise CheckpointError(
            "this deberta-v2 checkpoint has relative_attention: false; lingraft reads the published kind, with "
            "relative positions (for example microsoft/mdeberta-v3-base)"
        )
