"""ModernBERT and mmBERT: rotary positions, and windows instead of full attention in most blocks.

Warner et al., 2024; Marone et al., 2025. Every third block, by default, attends to the whole text,
the others to ``sliding_window`` tokens on either side. A prompt has no place in the text, so no
window may hide it: virtual tokens are seen from everywhere and see everything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from . import Branch, Family, FamilyFacts, FeedForward, LayerStack, add_branches, attend, backbones, visible
from .rotary import Rotary

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class ModernBertStack(LayerStack):
    """The encoder of a ``ModernBertModel``.

    A window depends on the length alone; the last one is kept.
    """

    facts = FamilyFacts(
        blocks="layers",
        configuration=("hidden_activation", "norm_eps", "rope_parameters", "layer_types", "local_attention"),
        keys_values={"attn.Wqkv": 1 / 3},
        feed_forward="mlp.Wo",
    )

    def __init__(self, model: PreTrainedModel) -> None:
        config: Any = model.config
        super().__init__(
            model,
            num_layers=config.num_hidden_layers,
            width=config.hidden_size,
            max_length=config.max_position_embeddings,
        )
        model.set_attn_implementation("sdpa")
        parts: Any = model
        self.embeddings: nn.Module = parts.embeddings
        self.layers: nn.ModuleList = parts.layers
        self.rotary = Rotary(parts.rotary_emb)
        self.norm: nn.Module = parts.final_norm
        self.kinds: list[str] = list(config.layer_types)
        self.reach: int = config.sliding_window
        self._window: tuple[tuple[object, ...], Tensor] | None = None

    def embed(self, input_ids: Tensor) -> Tensor:
        """Return words, normalised; positions come with attention."""
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
        """Compute attention over the text or, in a local block, over a window of it and the prompt."""
        if feed_forward is not None:
            self.refuse_feed_forward()
        seen = visible(mask)
        length = hidden.shape[1]
        if self.kinds[i] == "sliding_attention" and (torch.compiler.is_exporting() or length > self.reach + 1):
            window = self._windowed(length, prompt_length, hidden.device)
            seen = window if seen is None else seen & window
        rotation = self.rotary.tables(length, hidden.device, self.kinds[i])
        layer: Any = self.layers[i]
        if not branches and self.precision == "float32":
            states: Tensor = layer(hidden, attention_mask=seen, position_embeddings=rotation)
            return states
        hidden = hidden + _attend(layer, hidden, seen, partial(self.rotary.turn, kind=self.kinds[i]), branches)
        widened: Tensor = layer.mlp(layer.mlp_norm(hidden))
        return hidden + widened

    def finish(self, hidden: Tensor) -> Tensor:
        """Apply the final norm: blocks normalise on their way in."""
        states: Tensor = self.norm(hidden)
        return states

    def _windowed(self, length: int, prompt_length: int, device: torch.device) -> Tensor:
        """Return ``[1, 1, T, T]``: who is within reach of whom."""
        if torch.compiler.is_exporting():
            return self._near(length, prompt_length, device)
        key = (length, prompt_length, device)
        known = self._window
        if known is None or known[0] != key:
            with torch.inference_mode(False):
                known = self._window = key, self._near(length, prompt_length, device)
        return known[1]

    def _near(self, length: int, prompt_length: int, device: torch.device) -> Tensor:
        positions = torch.arange(length, device=device)
        near = (positions[:, None] - positions[None, :]).abs() <= self.reach  # [T, T]
        virtual = positions < prompt_length
        return (near | virtual[:, None] | virtual[None, :])[None, None]


def _attend(
    layer: Any, hidden: Tensor, seen: Tensor | None, turn: Callable[[Tensor], Tensor], branches: tuple[Branch, ...]
) -> Tensor:
    """Compute one block's attention with branches: ``[B, T, H]`` to the same, the residual not yet added.

    A branch has no place in the text, so neither keys of its own nor the queries that meet them are rotated,
    and no window hides it.
    """
    attention = layer.attn

    def project(states: Tensor) -> list[Tensor]:  # queries, keys, values, each [..., heads, T, d]
        together = attention.Wqkv(layer.attn_norm(states)).unflatten(-1, (3, -1, attention.head_dim))
        return [part.transpose(-2, -3) for part in together.unbind(dim=-3)]

    def keys_and_values(rows: Tensor) -> tuple[Tensor, Tensor]:
        _, key, value = project(rows)
        return key, value

    query, key, value = project(hidden)
    context = attend(turn(query), turn(key), value, mask=seen)
    context = add_branches(context, query, branches, keys_and_values, attention.head_dim**-0.5)
    attended: Tensor = attention.out_drop(attention.Wo(context.transpose(1, 2).flatten(2)))
    return attended


@backbones.register("modernbert")
def modernbert() -> Family:
    """ModernBERT and mmBERT, with local and global attention."""
    return ModernBertStack
