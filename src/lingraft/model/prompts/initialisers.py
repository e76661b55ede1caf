"""Where a prompt starts: first rows that look like what a block is used to reading.

A row that looks like a word is attended to from the first step on; noise is not. Rows are real
tokens' states at the layer in question: of source-language texts (``states``), of pieces drawn
from the vocabulary, of the task's label names, or of a text that the recipe gives (Lester et al.,
2021, compare such starts). ``normal`` is the customary noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from ...backbones import LayerStack
from ...backbones.loading import Backbone
from ...backbones.walk import states_at, step
from ...core.errors import ConfigError
from ...core.records import IDS, States
from . import Initial

NOISE = 0.02
"""Standard deviation of ``normal``."""

PIECES = 128
"""Pieces of the vocabulary that are drawn to choose from; read as one text, so they must fit into one."""

AtLayer = Callable[[int], Tensor]
"""Layer to the states ``[N, H]`` there that rows are taken from."""


def prompt_initialiser(
    backbone: Backbone, sample: States, labels: Sequence[str], generator: torch.Generator
) -> Initial:
    """Return what makes the first rows of prompts, in any of the ways that a recipe can ask for.

    Frozen states are computed when first needed, and once.

    Args:
        backbone: The frozen model and its tokenizer.
        sample: Source-language texts at the cut (or as ids); ``states`` exist from there upwards.
        labels: The task's label names.
        generator: Draws noise, tokens and pieces; on the CPU.

    Returns:
        ``(how, layer, count) -> [count, H]``, float32 on the stack's device. Drawn ways give other
        rows at each call, the others the same: their tokens in order, from the first again when
        there are fewer than ``count``.

    Raises:
        ConfigError: When called: there is no label or text, or no token in it.
    """
    stack, device = backbone.stack, next(backbone.stack.parameters()).device
    seed = generator.initial_seed()

    @cache
    def tokens(how: str) -> AtLayer:
        if how == "states":
            return _sample_tokens(stack, sample.to(device))
        if how == "vocabulary":
            return _text_tokens(backbone, [_random_pieces(backbone, torch.Generator().manual_seed(seed))])
        if how == "labels":
            return _text_tokens(backbone, [_pieces(backbone, label, "a label") for label in _some(labels)])
        if how.startswith("text:"):
            return _text_tokens(backbone, [_pieces(backbone, how.removeprefix("text:"), "prompt.text")])
        raise ValueError(f"expected states, normal, vocabulary, labels or text:SOME TEXT as a start, got {how!r}")

    def initial(how: str, layer: int, count: int) -> Tensor:
        if how == "normal":
            return (NOISE * torch.randn(count, stack.width, generator=generator)).to(device)
        found = tokens(how)(layer)
        if how in ("states", "vocabulary"):
            chosen = torch.randint(len(found), (count,), generator=generator)
        else:
            chosen = torch.arange(count) % len(found)
        return found[chosen.to(device)].float()

    return initial


Pieces = tuple[list[int], list[int]]
"""Token ids of a text, and the positions of those that are its words: no markers, no text prefix."""


def _pieces(backbone: Backbone, text: str, what: str) -> Pieces:
    """Return a text as the backbone reads it, after its prefix (``"query: "``)."""
    prefix, tokenizer = backbone.text_prefix, backbone.tokenizer
    read: Any = tokenizer(
        prefix + text, truncation=True, max_length=backbone.max_length, return_offsets_mapping=True, verbose=False
    )
    words = [i for i, (_, end) in enumerate(read["offset_mapping"]) if end > len(prefix)]  # a marker ends at 0
    if not text.strip() or not words:
        raise ConfigError(
            [f"prompt.init: {what} is {text!r}, which has no token to start from; give one or more words"]
        )
    return read["input_ids"], words


def _random_pieces(backbone: Backbone, generator: torch.Generator) -> Pieces:
    """Return pieces of the vocabulary in a random order, between the markers that every text has."""
    tokenizer: Any = backbone.tokenizer
    around: list[int] = tokenizer("")["input_ids"]
    added = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    usable = torch.tensor([i for i in range(len(tokenizer)) if i not in added])
    count = min(PIECES, backbone.max_length - len(around))
    drawn = usable[torch.randperm(len(usable), generator=generator)[:count]].tolist()
    before = (len(around) + 1) // 2
    return [*around[:before], *drawn, *around[before:]], list(range(before, before + len(drawn)))


def _some(labels: Sequence[str]) -> Sequence[str]:
    if not labels:
        raise ConfigError(["prompt.init: labels needs a task whose labels have names, and this one has none"])
    return labels


def _sample_tokens(stack: LayerStack, sample: States) -> AtLayer:
    """Return all real tokens of a sample but what opens each text, at its layer or above."""
    with torch.no_grad():
        states = replace(sample, tokens=stack.embed(sample.tokens), layer=0) if sample.layer == IDS else sample
    at = _lazy_states(stack, states)
    real = states.mask.bool()
    inner = real.clone()
    inner[:, : states.pooling.opening] = False  # nearly the same in every text
    keep = inner if bool(inner.any()) else real
    return lambda layer: at(layer)[keep]


def _text_tokens(backbone: Backbone, texts: Sequence[Pieces]) -> AtLayer:
    """Return the words of some texts at any layer: the first of each text, then the second of each, and so on."""
    stack = backbone.stack
    states = states_at([ids for ids, _ in texts], stack, 0, next(stack.parameters()).device)
    turns = zip_longest(*([(row, position) for position in words] for row, (_, words) in enumerate(texts)))
    rows, positions = zip(*(where for turn in turns for where in turn if where is not None), strict=True)
    at = _lazy_states(stack, states)
    return lambda layer: at(layer)[list(rows), list(positions)]


def _lazy_states(stack: LayerStack, states: States) -> AtLayer:
    """Return frozen states ``[B, T, H]`` at any layer from that of ``states`` upwards; each block runs once."""
    reached = [states]

    def at(layer: int) -> Tensor:
        if layer < states.layer:
            raise ValueError(f"expected a layer from {states.layer}, where the texts are known, got {layer}")
        with torch.no_grad():
            while reached[-1].layer < layer:
                reached.append(step(stack, reached[-1].layer, reached[-1]))
        return reached[layer - states.layer].tokens

    return at
