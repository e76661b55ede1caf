"""The forward pass through the frozen layers: batches of token ids, one block after the other, pooled states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..core.records import IDS, States
from . import FeedForward, LayerStack, Prefix

TOKENS_PER_BATCH = 2048
"""Padded tokens of an encoding batch: enough for full matrix products, small enough for the processor's cache."""


def length_batches(lengths: Sequence[int], tokens: int = TOKENS_PER_BATCH) -> Iterator[list[int]]:
    """Rows in batches of similar length, at most ``tokens`` padded tokens each (or one text)."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: (lengths[row], row)):
        if batch and (len(batch) + 1) * lengths[row] > tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def pad_batch(ids: Sequence[Sequence[int]], stack: LayerStack, device: torch.device) -> States:
    """Token ids as a batch that is padded on the right."""
    padded = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(text) for text in ids], batch_first=True, padding_value=stack.padding_id
    )
    mask = torch.arange(padded.shape[1]) < torch.tensor([len(text) for text in ids]).unsqueeze(1)
    return States(tokens=padded.to(device), mask=mask.to(device, torch.long), layer=IDS)


def embed_batch(ids: Sequence[Sequence[int]], stack: LayerStack, device: torch.device) -> States:
    """States at layer 0 of a batch of token ids."""
    return at_layer(stack, pad_batch(ids, stack, device), 0)


def states_at(ids: Sequence[Sequence[int]], stack: LayerStack, cut: int, device: torch.device) -> States:
    """States at the cut, computed afresh: what prediction on new texts uses."""
    if cut == IDS:
        return pad_batch(ids, stack, device)
    with torch.no_grad():
        return at_layer(stack, pad_batch(ids, stack, device), cut)


def at_layer(stack: LayerStack, states: States, layer: int) -> States:
    """States at any layer through the frozen blocks up to ``layer``."""
    if states.layer == IDS:
        states = replace(states, tokens=stack.embed(states.tokens), layer=0)
    for i in range(states.layer, layer):
        states = step(stack, i, states)
    return states


def frozen_pooled(stack: LayerStack, states: States) -> Tensor:
    """States at any layer through the frozen rest of the stack, pooled: ``[B, H]``."""
    states = at_layer(stack, states, stack.num_layers)
    return replace(states, tokens=stack.finish(states.tokens)).pooled()


def step(
    stack: LayerStack,
    layer: int,
    states: States,
    prompt: Tensor | tuple[Prefix, ...] | None = None,
    feed_forward: FeedForward | None = None,
) -> States:
    """States at ``layer`` through one block.

    Args:
        stack: The frozen layers.
        layer: Index of the block.
        states: Its input.
        prompt: Virtual tokens ``[P, H]`` for this block only, or gated prefixes.
        feed_forward: What an adapter puts inside the block.
    """
    prefixes = prompt if isinstance(prompt, tuple) else ()
    rows = prompt if isinstance(prompt, Tensor) else None
    with stack.products():
        if rows is not None:
            tokens = stack.prompted_block(layer, states.tokens, states.mask, rows, feed_forward)
        else:
            tokens = stack.block(
                layer,
                states.tokens,
                states.mask,
                prompt_length=states.prompt_length,
                prefixes=prefixes,
                feed_forward=feed_forward,
            )
    return replace(states, tokens=tokens.to(states.tokens.dtype), layer=layer + 1)
