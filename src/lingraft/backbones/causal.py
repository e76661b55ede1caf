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
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.errors import CheckpointError
from ..core.records import KeysValues, Reading
from . import Branch, FeedForward, LayerStack, add_branches, attend
from .spelling import Spelling

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
        words: The word embeddings; a family sets them.
        unembedding: What makes logits of the next token, ``[V, H]``, where that is not the word embeddings; who loads
            the checkpoint sets it. None where it is, and where a checkpoint that needs one has none.
        spelling: What the tokens say; who knows the tokenizer sets it.
    """

    norm: nn.Module
    words: nn.Module
    unembedding: Tensor | None
    spelling: Spelling | None

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
        self.tied = bool(getattr(config, "tie_word_embeddings", False))
        self.softcap: float | None = getattr(config, "final_logit_softcapping", None)
        self.register_buffer("unembedding", None, persistent=False)
        self.spelling = None

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

    def embed(self, input_ids: Tensor, positions: Tensor | None = None) -> Tensor:
        """Turn ``[B, T]`` token ids into states at layer 0; a family whose words have positions places them.

        Args:
            input_ids: ``[B, T]``.
            positions: ``[B, T]``; from 0 on by default.
        """
        states: Tensor = self.words(input_ids)
        return states

    @property
    def unembeds(self) -> Tensor | None:
        """What makes logits of final states, ``[V, H]``; None where the checkpoint has no language-model head."""
        weight = self.words.weight if self.tied else self.unembedding
        return weight if isinstance(weight, Tensor) else None

    def speak(self, final: Tensor) -> Tensor:
        """Turn final states ``[..., H]`` into logits of the next token, ``[..., V]``, in float32.

        Raises:
            CheckpointError: The checkpoint has no language-model head.
        """
        weight = self.unembeds
        if weight is None:
            raise CheckpointError(
                f"this {self.configuration['model_type']} checkpoint has no language-model head (lm_head.weight), so "
                "it can neither generate nor say how likely a text is; choose the checkpoint that the decoder came with"
            )
        logits = logits_of(final.float(), weight)
        return logits if self.softcap is None else torch.tanh(logits / self.softcap) * self.softcap

    def place(self, i: int, states: Tensor, at: int | Tensor) -> Tensor:
        """Give queries or keys their positions; as they are where they have none.

        Args:
            i: Index of the block.
            states: ``[..., T, d]``.
            at: The first of as many positions that follow each other, or those of each text, ``[B, T]``.
        """
        return states

    def seen(self, i: int, rows: Tensor, columns: Tensor, prompt_length: int) -> Tensor:
        """Return who sees whom in a block, or what is added to the scores.

        Args:
            i: Index of the block.
            rows: Positions of the queries, ``[T]``, or of those of each text, ``[B, 1, T]``.
            columns: Positions of the keys, ``[S]`` or ``[B, 1, S]``; what stands later than a query is not seen.
            prompt_length: How many of the first positions are virtual tokens.

        Returns:
            What broadcasts to ``[B, heads, T, S]``.
        """
        return causal_mask(rows, columns, prompt_length=prompt_length, window=self.windows[i])

    def block(
        self,
        i: int,
        hidden: Tensor,
        mask: Tensor,
        prompt_length: int = 0,
        branches: tuple[Branch, ...] = (),
        feed_forward: FeedForward | None = None,
    ) -> Tensor:
        """Compute causal attention, to virtual tokens from everywhere; a branch has no position."""
        if feed_forward is not None:
            self.refuse_feed_forward()
        query, key, value = self.project(i, hidden)
        positions = torch.arange(hidden.shape[1], device=hidden.device)
        context = attend(
            self.place(i, query, 0),
            *(shared(part, query) for part in (self.place(i, key, 0), value)),
            mask=self.seen(i, positions, positions, prompt_length),
            scale=self.scale(i),
        )
        context = self._add_branches(i, context, query, branches)
        return self.after_attention(i, context.transpose(1, 2).flatten(2), hidden)

    def _add_branches(self, i: int, context: Tensor, query: Tensor, branches: tuple[Branch, ...]) -> Tensor:
        def keys_and_values(rows: Tensor) -> tuple[Tensor, Tensor]:
            _, row_key, row_value = self.project(i, rows)
            return shared(row_key, query), shared(row_value, query)

        return add_branches(context, query, branches, keys_and_values, self.scale(i))

    def prompted_block(
        self, i: int, hidden: Tensor, mask: Tensor, rows: Tensor, feed_forward: FeedForward | None = None
    ) -> Tensor:
        """Compute keys and values of the virtual tokens once for the whole batch, and nothing else of them."""
        if feed_forward is not None:
            self.refuse_feed_forward()
        length, device = len(rows), hidden.device
        query, *own = self.project(i, hidden)
        _, *virtual = self.project(i, rows)
        key, value = (
            torch.cat([part.expand(hidden.shape[0], -1, -1, -1), text], dim=-2)
            for part, text in zip(virtual, own, strict=True)
        )  # [B, groups, P + T, d]
        context = attend(
            self.place(i, query, length),
            *(shared(part, query) for part in (self.place(i, key, 0), value)),
            mask=self.seen(
                i,
                torch.arange(length, length + hidden.shape[1], device=device),
                torch.arange(length + hidden.shape[1], device=device),
                length,
            ),
            scale=self.scale(i),
        )
        return self.after_attention(i, context.transpose(1, 2).flatten(2), hidden)

    def read_on(
        self,
        i: int,
        hidden: Tensor,
        reading: Reading,
        *,
        prompt_length: int = 0,
        rows: Tensor | None = None,
        branches: tuple[Branch, ...] = (),
    ) -> Tensor:
        """Compute a block of tokens that follow others, whose keys and values are known, and note theirs.

        Each text has its own positions, so texts of any length go on together. Virtual tokens are given to the first
        reading of a text alone: they are among what is known from then on.

        Args:
            i: Index of the block.
            hidden: ``[B, T, H]``; the first ``prompt_length`` of them virtual tokens.
            reading: What was read before, where these tokens stand, and what is noted.
            prompt_length: As for :meth:`block`.
            rows: As for :meth:`prompted_block`.
            branches: As for :meth:`block`.

        Returns:
            ``[B, T, H]``.
        """
        batch, device = len(hidden), hidden.device
        before = reading.before.blocks[i] if reading.before is not None else None
        virtual = before.virtual if before is not None else prompt_length if rows is None else len(rows)
        of_prompt = torch.arange(virtual, device=device).expand(batch, -1)
        at = reading.positions + virtual
        if prompt_length:
            at = torch.cat([of_prompt, at], dim=1)
        query, key, value = self.project(i, hidden)
        key = self.place(i, key, at)
        known = [(before.keys, before.values)] if before else []
        if rows is not None and before is None:
            _, *projected = self.project(i, rows)
            row_key, row_value = (part.expand(batch, -1, -1, -1) for part in projected)
            known = [(self.place(i, row_key, 0), row_value)]
        keys, values = (torch.cat(parts, dim=-2) for parts in zip(*known, (key, value), strict=True))
        reading.blocks[i] = KeysValues(keys, values, virtual)
        columns = torch.cat([of_prompt, reading.columns + virtual], dim=1)
        context = attend(
            self.place(i, query, at),
            *(shared(part, query) for part in (keys, values)),
            mask=self.seen(i, at[:, None], columns[:, None], virtual),
            scale=self.scale(i),
        )
        context = self._add_branches(i, context, query, branches)
        return self.after_attention(i, context.transpose(1, 2).flatten(2), hidden)


VOCABULARY_ROWS = 1 << 15
"""Of the matrix that makes logits, so many rows are widened together where it is stored in 16 bit."""


def logits_of(final: Tensor, weight: Tensor) -> Tensor:
    """Return the product of states ``[..., H]`` and the matrix that makes logits of words, ``[V, H]``: ``[..., V]``."""
    pieces: tuple[Tensor, ...] = torch.split(weight, VOCABULARY_ROWS)
    return torch.cat([F.linear(final, rows.float()) for rows in pieces], dim=-1)


def causal_mask(rows: Tensor, columns: Tensor, *, prompt_length: int = 0, window: int | None = None) -> Tensor:
    """Return which position (row) sees which (column): ``[..., T, S]``.

    Args:
        rows: ``[..., T]``.
        columns: ``[..., S]``; real ones are below ``S``.
        prompt_length: How many of the first positions are virtual tokens, which no window hides.
        window: How many positions one sees, itself included; ``None`` for all before it.
    """
    distance = rows[..., :, None] - columns[..., None, :]
    if window is None or (window >= columns.shape[-1] and not torch.compiler.is_exporting()):
        return distance >= 0
    return (distance >= 0) & ((distance < window) | (columns < prompt_length)[..., None, :])


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
