"""Trained vectors between layers.

What a prompt *is* (rows ``[P, H]`` per layer) is kept apart from where it *goes*
(:func:`insert`), as in google-research/prompt-tuning. A factory takes options and returns
``build(width, layers, languages, initial)``, which returns the module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from ..records import States
from ..registry import Registry

Initial = Callable[[int, int], Tensor]
"""``(layer, count) -> [count, H]``: vectors that look like states at the input of that block."""


class Prompt(Protocol):
    """A module that gives the virtual tokens of a layer.

    ``carried`` says what becomes of them after the block they enter: carried on through the layers
    like words, or dropped because the next layer brings its own.
    """

    carried: bool

    def __call__(self, layer: int, language: str) -> Tensor | None:
        """Rows for the input of block ``layer``: ``[P, H]``, or None to leave them as they are."""
        ...


prompts = Registry("lingraft.prompts")


def insert(rows: Tensor | None, states: States) -> States:
    """Put virtual tokens that are carried on in front of the others, or in the place of earlier ones.

    Args:
        rows: ``[P, H]``, or None to leave ``states`` alone.
        states: ``[B, T, H]``, of which the first ``prompt_length`` rows are virtual.

    Returns:
        States ``[B, P + T, H]``, the mask extended by ones.
    """
    if rows is None:
        return states
    real = states.without_prompt()
    batch, length = len(real.tokens), len(rows)
    tokens = torch.cat([rows.to(real.tokens.dtype).expand(batch, -1, -1), real.tokens], dim=1)
    mask = torch.cat([real.mask.new_ones(batch, length), real.mask], dim=1)
    return replace(states, tokens=tokens, mask=mask, prompt_length=length)
