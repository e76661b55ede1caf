"""Greedy decoding: the likeliest token each time, until one ends what is said; whatever model it is that says it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Ends: TypeAlias = Callable[[int], bool]
"""Whether a token ends a text."""

MayFollow: TypeAlias = Callable[[int, Sequence[int]], Collection[int] | None]
"""A text, by number, and what was said after it, to the tokens of which the next is one, at least one; None for all."""

GoOn: TypeAlias = Callable[[list[int], list[int]], Tensor]
"""Which of the texts that are still open go on, by place among them, and the token that each of these has just said, to
the logits of its next one, ``[B', V]``; those that are left out are closed for good."""


@dataclass(frozen=True, slots=True)
class Generated:
    """Token ids that follow a text, without what ended them, and their probability, that of the end included."""

    ids: tuple[int, ...]
    probability: float


def all_follow(row: int, said: Sequence[int]) -> Collection[int] | None:
    """Return None: any token may be the next."""
    return None


def say_likeliest(
    first: Tensor, go_on: GoOn, *, rooms: Sequence[int], ends: Ends, may_follow: MayFollow = all_follow
) -> list[Generated]:
    """Go on with each of ``B`` texts by the likeliest token, until one ends it or there is no more room.

    Args:
        first: Logits of the first token of each, ``[B, V]``.
        go_on: Makes the logits of the next ones.
        rooms: Tokens of each at most.
        ends: Whether a token ends a text.
        may_follow: What may be said next.
    """
    said: list[list[int]] = [[] for _ in rooms]
    chances = [0.0] * len(rooms)
    rows, logits = list(range(len(rooms))), first
    while rows:
        allowed = [may_follow(row, said[row]) for row in rows]
        chance, best = _restricted(logits.log_softmax(-1), allowed).max(-1)
        places = []
        for place, (row, token, log_chance) in enumerate(zip(rows, best.tolist(), chance.tolist(), strict=True)):
            chances[row] += log_chance
            if ends(token):
                continue
            said[row].append(token)
            if len(said[row]) < rooms[row]:
                places.append(place)
        rows = [rows[place] for place in places]
        if rows:
            logits = go_on(places, [said[row][-1] for row in rows])
    return [Generated(tuple(ids), math.exp(chance)) for ids, chance in zip(said, chances, strict=True)]


def _restricted(log_chances: Tensor, allowed: Sequence[Collection[int] | None]) -> Tensor:
    """Return ``[B, V]`` with minus infinity for what is not allowed."""
    if all(tokens is None for tokens in allowed):
        return log_chances
    hidden = torch.zeros_like(log_chances, dtype=torch.bool)
    for row, tokens in enumerate(allowed):
        if tokens is not None:
            hidden[row] = True
            hidden[row, list(tokens)] = False
    return log_chances.masked_fill(hidden, -torch.inf)
