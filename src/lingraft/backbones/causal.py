"""What decoders share: attention from left to right, over all that came before or over a window of it.

Padding is on the right, where no token looks, so a causal mask needs no mask of the padding beside it.
A prompt stands before the text: every token of the text sees it, however far away, and no virtual
token sees the text. So the states of a token never depend on what follows it, prompt or not.

All attention is computed here, with a mask that is always spelt out. Hugging Face's ``sdpa`` without
one guesses: of more keys than queries it drops the last, and a cache evicts a prefix from windows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..core.errors import CheckpointError
from . import FeedForward, LayerStack, Prefix, attend, attend_prefixes

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class CausalStack(LayerStack):
    """A decoder without its language-model head; a family says what comes before and after attention.

    Args:
        model: The loaded Hugging Face model.
        max_length: The longest text, in tokens.
        windows: Of each block, how many tokens one sees, itself included; ``None`` where it sees all before it.

    Attributes:
        norm: The final norm, for blocks normalise on their way in; a family sets it.
    """

    norm: nn.Module

    def __init__(self, model: PreTrainedModel, *, max_length: int, windows: Sequence[int | None] = ()) -> None:
        config: Any = model.config
        if getattr(config, "is_causal", True) is False or getattr(config, "use_bidirectional_attention", False):
            raise CheckpointError(
                f"this {config.model_type} checkpoint is configured to look ahead (is_causal: false or "
                "use_bidirectional_attention: true); lingraft runs this family from left to right only: choose "
                "the decoder it was made of"
            )
        super().__init__(model, num_layers=config.num_hidden_layers, width=config.hidden_size, max_length=max_length)
        self.windows = list(windows) or [None] * self.num_layers

    @abstractmethod
    def project(self, i: int, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Make queries, keys and values of a block's input, without positions.

        Args:
            i: Index of the block.
            hidden: ``[..., T, H]``.

        Returns:
            Queries ``[..., heads, T, d]``; keys and values ``[..., groups, T, d]``, where a group of heads may
            share them (grouped-query attention: Ainslie et al., 2023).
        """

    @abstractmethod
    def scale(self, i: int) -> float:
        """Return the factor of a block's attention scores."""

    @abstractmethod
    def after_attention(self, i: int, context: Tensor, hidden: Tensor) -> Tensor:
        """Compute the rest of a block.

        Args:
            i: Index of the block.
            context: ``[B, T, heads * d]``, what attention gave.
            hidden: ``[B, T, H]``, the block's input.
        """

    def finish(self, hidden: Tensor) -> Tensor:
        """Apply the final norm."""
        states: Tensor = self.norm(hidden)
        return states

    def place(self, i: int, states: Tensor, first: int) -> Tensor:
        """Give queries or keys ``[..., T, d]`` their positions, from ``first`` on; as they are where they have none."""
        return states

    def seen(self, i: int, length: int, prompt_length: int, device: torch.device) -> Tensor:
        """Return who sees whom in a block, or what is added to the scores: broadcasts to ``[B, heads, T, T]``."""
        return causal_mask(length, prompt_length=prompt_length, window=self.windows[i], device=device)

    def block(
        self,
        i: int,
        hidden: Tensor,
        mask: Tensor,
        prompt_length: int = 0,
        prefixes: tuple[Prefix, ...] = (),
        feed_forward: FeedForward | None = None,
    ) -> Tensor:
        """Compute causal attention, to virtual tokens from everywhere; a prefix has no position."""
        if feed_forward is not None:
            self.refuse_feed_forward()
        query, key, value = self.project(i, hidden)
        context = attend(
            self.place(i, query, 0),
            *(shared(part, query) for part in (self.place(i, key, 0), value)),
            mask=self.seen(i, hidden.shape[1], prompt_length, hidden.device),
            scale=self.scale(i),
        )

        def keys_and_values(rows: Tensor) -> tuple[Tensor, Tensor]:
            _, row_key, row_value = self.project(i, rows)
            return shared(row_key, query), shared(row_value, query)

        context = attend_prefixes(context, query, prefixes, keys_and_values, self.scale(i))
        return self.after_attention(i, context.transpose(1, 2).flatten(2), hidden)

    def prompted_block(
        self, i: int, hidden: Tensor, mask: Tensor, rows: Tensor, feed_forward: FeedForward | None = None
    ) -> Tensor:
        """Compute keys and values of the virtual tokens once for the whole batch, and nothing else of them."""
        if feed_forward is not None:
            self.refuse_feed_forward()
        length = len(rows)
        query, *own = self.project(i, hidden)
        _, *virtual = self.project(i, rows)
        key, value = (
            torch.cat([part.expand(hidden.shape[0], -1, -1, -1), text], dim=-2)
            for part, text in zip(virtual, own, strict=True)
        )  # [B, groups, P + T, d]
        context = attend(
            self.place(i, query, length),
            *(shared(part, query) for part in (self.place(i, key, 0), value)),
            mask=self.seen(i, length + hidden.shape[1], length, hidden.device)[..., length:, :],
            scale=self.scale(i),
        )
        return self.after_attention(i, context.transpose(1, 2).flatten(2), hidden)


def causal_mask(length: int, *, prompt_length: int = 0, window: int | None = None, device: torch.device) -> Tensor:
    """Return ``[T, T]``: which position (row) sees which (column).

    Args:
        length: ``T``.
        prompt_length: How many of the first positions are virtual tokens, which no window hides.
        window: How many positions one sees, itself included; ``None`` for all before it.
        device: Where the mask is to be.
    """
    positions = torch.arange(length, device=device)
    distance = positions[:, None] - positions
    if window is None or (window >= length and not torch.compiler.is_exporting()):
        return distance >= 0
    return (distance >= 0) & ((distance < window) | (positions < prompt_length))


def by_head(states: Tensor, width: int) -> Tensor:
    """Turn ``[..., T, heads * d]`` into ``[..., heads, T, d]``, where ``d`` is ``width``."""
    return states.view(*states.shape[:-1], -1, width).transpose(-2, -3)


def project_apart(attention: Any, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Make queries, keys and values by projections of their own, ``q_proj``, ``k_proj`` and ``v_proj``.

    Args:
        attention: Hugging Face's module.
        states: ``[..., T, H]``.

    Returns:
        As :meth:`CausalStack.project`.
    """
    query, key, value = (
        by_head(project(states), attention.head_dim)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    return query, key, value


def shared(states: Tensor, query: Tensor) -> Tensor:
    """Repeat keys or values ``[..., groups, S, d]`` for all heads of ``query [..., heads, T, d]`` that share them."""
    repeats = query.shape[-3] // states.shape[-3]
    return states if repeats == 1 else states.repeat_interleave(repeats, dim=-3)
