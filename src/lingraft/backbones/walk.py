"""The forward pass through the frozen layers: batches of token ids, one block after the other, pooled states.

A text's states are the same to the last bit whatever other texts share its batch, on a CPU, because
the length that it is padded to depends on its own length alone (:func:`padded_length`), and texts
that are padded to different lengths never share a batch (:func:`length_batches`). How many texts
there are does not matter then: each row of a matrix product is summed in the same order, as long as
there are at least a dozen rows, and the shortest text has :data:`STEP`. On a GPU the kernel is chosen
by the size of the batch too, so there equality is up to rounding. Nothing relies on it but that what
was computed twice can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TypeAlias

import torch
from torch import Tensor

from ..core.records import IDS, States
from . import Branch, FeedForward, LayerStack
from .causal import CausalStack

TOKENS_PER_BATCH = 2048
"""Padded tokens of an encoding batch: enough for full matrix products, small enough for the processor's cache."""

STEP = 16
"""Texts are padded to a multiple of so many tokens; matrix products of fewer than 12 rows round in another order."""


def padded_length(tokens: int, limit: int | None = None) -> int:
    """Return the length that a text of so many tokens is padded to, at most ``limit`` (what the positions allow)."""
    padded = max(1, -(-tokens // STEP)) * STEP
    return padded if limit is None else min(padded, limit)


def length_batches(lengths: Sequence[int], tokens: int = TOKENS_PER_BATCH) -> Iterator[list[int]]:
    """Yield rows of one padded length, shortest texts first, at most ``tokens`` padded tokens (or one text)."""
    rows = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    for padded, group in groupby(rows, key=lambda row: padded_length(lengths[row])):
        alike, size = list(group), max(1, tokens // padded)
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def pad_batch(ids: Sequence[Sequence[int]], stack: LayerStack, device: torch.device) -> States:
    """Pad token ids on the right, to the padded length of the longest text: ``[B, T]``."""
    length = padded_length(max(map(len, ids), default=0), stack.max_length)
    tokens = torch.full((len(ids), length), stack.padding_id)
    for row, text in enumerate(ids):
        tokens[row, : len(text)] = torch.tensor(text)
    mask = torch.arange(length) < torch.tensor([len(text) for text in ids]).unsqueeze(1)
    return States(tokens=tokens.to(device), mask=mask.to(device, torch.long), layer=IDS, pooling=stack.pooling)


def encode_batch(
    ids: Sequence[Sequence[int]], stack: LayerStack, cut: int, device: torch.device
) -> tuple[States, Tensor]:
    """Compute what the cache keeps of a batch of texts that have one padded length.

    Args:
        ids: Token ids of ``B`` texts.
        stack: The frozen layers.
        cut: Layer whose states are kept.
        device: Where the stack is.

    Returns:
        States at the cut ``[B, T, H]``, and pooled states after the last layer ``[B, H]``.
    """
    with torch.inference_mode():
        states = at_layer(stack, pad_batch(ids, stack, device), cut)
        return states, frozen_pooled(stack, states)


def states_at(ids: Sequence[Sequence[int]], stack: LayerStack, cut: int, device: torch.device) -> States:
    """Compute states at the cut afresh, padded to the longest text: what the cache would give for these texts.

    Args:
        ids: Token ids of ``B`` texts.
        stack: The frozen layers.
        cut: Layer of the states; :data:`IDS` for the ids themselves.
        device: Where to compute.
    """
    states = pad_batch(ids, stack, device)
    if cut != IDS:
        with torch.no_grad():
            states = at_layer(stack, states, cut)
    longest = max(map(len, ids), default=0)
    return replace(states, tokens=states.tokens[:, :longest].contiguous(), mask=states.mask[:, :longest].contiguous())


def at_layer(stack: LayerStack, states: States, layer: int) -> States:
    """Run states at any layer through the frozen blocks up to ``layer``."""
    states = embedded(stack, states)
    for i in range(states.layer, layer):
        states = step(stack, i, states)
    return states


def embedded(stack: LayerStack, states: States) -> States:
    """Return token ids as states at layer 0, and states of any layer as they are."""
    if states.layer != IDS:
        return states
    if states.reading is None:
        return replace(states, tokens=stack.embed(states.tokens), layer=0)
    assert isinstance(stack, CausalStack)
    return replace(states, tokens=stack.embed(states.tokens, states.reading.positions), layer=0)


Ids: TypeAlias = Sequence[Sequence[int]]
"""Token ids of each text."""


def pooled_end(stack: LayerStack, states: States) -> Tensor:
    """Pool states ``[B, T, H]`` as if theirs were the last layer: ``[B, H]``."""
    return replace(states, tokens=stack.finish(states.tokens)).pooled()


def frozen_pooled(stack: LayerStack, states: States) -> Tensor:
    """Run states at any layer through the frozen rest of the stack, and pool them: ``[B, H]``."""
    return pooled_end(stack, at_layer(stack, states, stack.num_layers))


def step(
    stack: LayerStack,
    layer: int,
    states: States,
    prompt: Tensor | tuple[Branch, ...] | None = None,
    feed_forward: FeedForward | None = None,
) -> States:
    """Run states at ``layer`` through one block.

    Args:
        stack: The frozen layers.
        layer: Index of the block.
        states: Its input.
        prompt: Virtual tokens ``[P, H]`` for this block only, or branches of its attention.
        feed_forward: What an adapter puts inside the block.
    """
    branches = prompt if isinstance(prompt, tuple) else ()
    rows = prompt if isinstance(prompt, Tensor) else None
    with stack.products():
        if states.reading is not None:
            assert isinstance(stack, CausalStack)
            tokens = stack.read_on(
                layer,
                states.tokens,
                states.reading,
                prompt_length=states.prompt_length,
                rows=rows,
                branches=branches,
            )
        elif rows is not None:
            tokens = stack.prompted_block(layer, states.tokens, states.mask, rows, feed_forward)
        else:
            tokens = stack.block(
                layer,
                states.tokens,
                states.mask,
                prompt_length=states.prompt_length,
                branches=branches,
                feed_forward=feed_forward,
            )
    return replace(states, tokens=tokens.to(states.tokens.dtype), layer=layer + 1)
