"""Trained vectors between layers.

What a prompt *is* (rows ``[P, H]`` per layer) is kept apart from where it *goes*
(:func:`insert`), as in google-research/prompt-tuning. A factory takes options and returns
``build(stack, layers, languages, initial)``, which returns the module. The stack tells widths and
heads; it may be on the meta device. What a prompt gives for the decoder of an encoder-decoder, branches alone, is
another module inside it, ``decoder``. Parameters under ``gate`` (``gate.task.LAYER``) learn ten times faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from ...backbones import Branch, LayerStack
from ...core.errors import ConfigError
from ...core.records import States
from ...core.registry import Registry

Init = Literal["states", "normal", "vocabulary", "labels", "text"]
"""Where the rows of a prompt start: see :mod:`lingraft.model.prompts.initialisers`."""

Initial = Callable[[str, int, int], Tensor]
"""``(how, layer, count) -> [count, H]``: first rows for the input of block ``layer``.

``how`` is one of ``states``, ``normal``, ``vocabulary``, ``labels`` and ``text:SOME TEXT``.
"""

Build = Callable[[LayerStack, range, Iterable[str], Initial], nn.Module]


class Prompt(Protocol):
    """A module that gives the virtual tokens of a layer.

    ``carried`` says what becomes of them after the block they enter: carried on through the layers
    like words, or dropped because the next layer brings its own.
    """

    carried: bool

    def __call__(self, layer: int, language: str) -> Tensor | tuple[Branch, ...] | None:
        """Return what enters block ``layer``: rows ``[P, H]``, branches of attention, or None."""
        ...


prompts = Registry("lingraft.prompts", "lingraft.model.prompts")


def beginning(init: Init, text: str | None) -> str:
    """Return the options ``init`` and ``text`` of a prompt as :data:`Initial` wants them.

    Raises:
        ConfigError: There is no text although rows should start as one, or there is one for nothing.
    """
    if init != "text":
        if text is not None:
            raise ConfigError([f"prompt.text: is used with `init: text` only, and init is {init}; leave one out"])
        return init
    if text is None or not text.strip():
        raise ConfigError(
            ["prompt.text: is missing or empty; with `init: text`, give the words that the rows start as"]
        )
    return f"text:{text}"


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
