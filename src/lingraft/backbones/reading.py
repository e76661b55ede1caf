"""Read on with a decoder: what was read leaves its keys and values, so that nothing is read twice.

Texts of a batch are padded on the right, as everywhere; each goes on at its own position, and padding stands later
than everything, where nobody looks. So no text sees another's length, whatever is padded on which side elsewhere.
What has been read is never changed: several continuations may follow one beginning, which is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import takewhile

import torch
from torch import Tensor

from ..core.records import IDS, Past, Reading, States
from . import LayerStack
from .causal import CausalStack
from .greedy import Ends, Generated, MayFollow, all_follow, say_likeliest
from .walk import at_layer

Ids = Sequence[int]
"""Token ids of a text."""

Forward = Callable[[States], States]
"""Token ids with a reading to final states, with all that is learnt on the way, or without."""

LATER = 1 << 30
"""Position of padding."""


def read(texts: Sequence[Ids], device: torch.device, past: Past | None = None, padding_id: int = 0) -> States:
    """Return texts as token ids that are to be read, at layer ``IDS``.

    Args:
        texts: Token ids of ``B`` texts, at least one each.
        device: Where the stack is.
        past: What they follow.
        padding_id: What stands for no token.

    Raises:
        ValueError: A text has no token.
    """
    if not all(texts):
        raise ValueError("expected at least one token in each text to read")
    counts = torch.tensor([len(text) for text in texts])
    tokens = torch.full((len(texts), int(counts.max())), padding_id)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = torch.tensor(text)
    counts, tokens = counts.to(device), tokens.to(device)
    steps = torch.arange(tokens.shape[1], device=device)
    mask = steps < counts[:, None]
    lengths = torch.zeros_like(counts) if past is None else past.lengths
    positions = lengths[:, None] + steps
    columns = positions.masked_fill(~mask, LATER)
    if past is not None:
        columns = torch.cat([past.columns, columns], dim=1)
    reading = Reading(past, positions, columns, lengths + counts, {})
    return States(tokens, mask.long(), IDS, reading=reading)


def again(states: States) -> States:
    """Return states that may be read on from by someone else as well: each notes keys and values of its own."""
    assert states.reading is not None
    return replace(states, reading=replace(states.reading, blocks=dict(states.reading.blocks)))


def frozen_forward(stack: LayerStack) -> Forward:
    """Return the forward pass of the frozen model alone."""

    def run(states: States) -> States:
        last = at_layer(stack, states, stack.num_layers)
        return replace(last, tokens=stack.finish(last.tokens))

    return run


def past_of(final: States) -> Past:
    """Return what has been read when states are final."""
    assert final.reading is not None
    return final.reading.past


def last_states(final: States) -> Tensor:
    """Return the states of each text's last token: ``[B, H]``."""
    return final.tokens[torch.arange(len(final.tokens)), final.mask.sum(1) - 1]


# ---- How likely a continuation is -----------------------------------------------------------------------


def log_likelihoods(
    run: Forward, stack: CausalStack, beginnings: Sequence[Ids], continuations: Sequence[Sequence[Ids]]
) -> list[list[float]]:
    """Compute the summed log-likelihood of each continuation of each beginning, which is read once.

    Args:
        run: The forward pass.
        stack: Whose words are meant.
        beginnings: Token ids of ``B`` texts.
        continuations: Of each, as many as it has.

    Returns:
        For each beginning, natural logarithms in the order of its continuations.
    """
    device = next(stack.parameters()).device
    with torch.no_grad():
        final = run(read(beginnings, device, padding_id=stack.padding_id))
        past = past_of(final)
        first = stack.speak(last_states(final)).log_softmax(-1)  # [B, V]
        found: list[list[float]] = [[] for _ in beginnings]
        for number in range(max(map(len, continuations), default=0)):
            rows = [row for row, mine in enumerate(continuations) if number < len(mine)]
            ids = [continuations[row][number] for row in rows]
            sums = first[rows, torch.tensor([text[0] for text in ids], device=device)].double()
            if longer := [place for place, text in enumerate(ids) if len(text) > 1]:
                chosen = torch.tensor([rows[place] for place in longer], device=device)
                sums[longer] += _rest(run, stack, [ids[place] for place in longer], past.take(chosen))
            for row, value in zip(rows, sums.tolist(), strict=True):
                found[row].append(value)
    return found


def _rest(run: Forward, stack: CausalStack, ids: Sequence[Ids], past: Past) -> Tensor:
    """Return the summed log-likelihood of all tokens after the first, of which there are some: ``[B]``."""
    device = past.columns.device
    sums = torch.zeros(len(ids), dtype=torch.float64, device=device)
    final = run(read([text[:-1] for text in ids], device, past, stack.padding_id))
    for step in range(1, max(map(len, ids))):
        rows = [row for row, text in enumerate(ids) if len(text) > step]
        logits = stack.speak(final.tokens[rows, step - 1]).log_softmax(-1)
        said = torch.tensor([ids[row][step] for row in rows], device=device)
        sums[rows] += logits.gather(1, said[:, None])[:, 0].double()
    return sums


# ---- Greedy decoding ------------------------------------------------------------------------------------


def generate(
    run: Forward,
    stack: CausalStack,
    final: States,
    *,
    most: int,
    ends: Ends,
    may_follow: MayFollow = all_follow,
) -> list[Generated]:
    """Go on with each text by the likeliest token, until one of them ends it.

    Args:
        run: The forward pass.
        stack: Whose words are said.
        final: Of the texts, which have been read.
        most: Tokens at most; a text also ends where the positions do.
        ends: Whether a token ends a text.
        may_follow: What may be said next.
    """
    past = past_of(final)

    def go_on(places: list[int], tokens: list[int]) -> Tensor:
        nonlocal past
        device = past.columns.device
        if len(places) < len(past.lengths):
            past = past.take(torch.tensor(places, device=device))
        after = run(read([[token] for token in tokens], device, past, stack.padding_id))
        past = past_of(after)
        return stack.speak(last_states(after))

    rooms = [min(most, stack.max_length - length + 1) for length in past.lengths.tolist()]
    with torch.no_grad():
        return say_likeliest(stack.speak(last_states(final)), go_on, rooms=rooms, ends=ends, may_follow=may_follow)


def common_beginning(texts: Collection[Ids]) -> int:
    """Return how many first tokens all texts share."""
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False)))
