"""The layer loop: frozen blocks, with prompts and adapters as ordinary calls between them.

Whatever lies below the cut has been computed already; we walk from the states at the cut to the
head. Switched off (``parts=False``), the walk *is* the untouched backbone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from .adapters import adapters
from .backbones import LayerStack
from .config import Block
from .prompts import Initial, insert, prompts
from .records import States


class Adaptation(nn.Module):
    """Everything that is trained: prompt, adapter, head. Nothing else is ever saved."""

    def __init__(self, prompt: nn.Module | None, adapter: nn.Module | None, head: nn.Linear) -> None:
        super().__init__()
        self.prompt = prompt
        self.adapter = adapter
        self.head = head


class GraftedModel(nn.Module):
    """A frozen stack and an adaptation, walked from the cut upwards."""

    def __init__(self, stack: LayerStack, adaptation: Adaptation) -> None:
        super().__init__()
        self.stack = stack
        self.adaptation = adaptation

    def forward(self, states: States, language: str) -> tuple[States, Tensor]:
        """States at the cut to states after the last layer, virtual tokens removed, and logits ``[B, C]``."""
        final = self.walk(states, language)
        return final, self.adaptation.head(final.pooled())

    def walk(self, states: States, language: str, *, parts: bool = True) -> States:
        """States at any layer to states after the last; without ``parts``, the frozen backbone's."""
        prompt = self.adaptation.prompt if parts else None
        adapter = self.adaptation.adapter if parts else None
        for layer in range(states.layer, self.stack.num_layers):
            rows = prompt(layer, language) if prompt is not None else None
            if prompt is not None and rows is not None and prompt.carried:
                states, rows = insert(rows, states), None
            states = step(self.stack, layer, states, rows)
            if adapter is not None:
                states = replace(states, tokens=adapter(layer, language, states.tokens))
        states = states.without_prompt()
        return replace(states, tokens=self.stack.finish(states.tokens))

    def train(self, mode: bool = True) -> GraftedModel:
        """Only the adaptation ever leaves eval mode."""
        super().train(mode)
        self.stack.eval()
        return self


def step(stack: LayerStack, layer: int, states: States, rows: Tensor | None = None) -> States:
    """States at ``layer`` through one block, with virtual tokens ``rows [P, H]`` of its own if any."""
    if rows is not None:
        tokens = stack.prompted_block(layer, states.tokens, states.mask, rows)
    else:
        tokens = stack.block(layer, states.tokens, states.mask, prompt_length=states.prompt_length)
    return replace(states, tokens=tokens, layer=layer + 1)


def build_adaptation(
    *,
    prompt: Block | None,
    adapter: Block | None,
    width: int,
    layers: range,
    languages: Iterable[str],
    head: nn.Linear,
    initial: Initial,
) -> Adaptation:
    """Make the trained parts for the blocks in ``layers`` (from the cut to the top)."""
    languages = list(languages)
    build_prompt: Callable[..., Any] | None = prompts.build(prompt.name, prompt.options) if prompt else None
    build_adapter: Callable[..., Any] | None = adapters.build(adapter.name, adapter.options) if adapter else None
    return Adaptation(
        prompt=build_prompt(width, layers, languages, initial) if build_prompt else None,
        adapter=build_adapter(width, layers, languages) if build_adapter else None,
        head=head,
    )


def sampled_states(stack: LayerStack, states: States, generator: torch.Generator) -> Initial:
    """Initial prompt rows that are real tokens' states at the layer in question.

    A prompt that looks like a word is attended to from the first step on; noise is not.

    Args:
        stack: The frozen layers.
        states: States at the cut of some source-language texts.
        generator: Chooses the tokens.
    """
    at_layer = {states.layer: states}
    with torch.no_grad():
        for layer in range(states.layer, stack.num_layers - 1):
            at_layer[layer + 1] = step(stack, layer, at_layer[layer])

    def initial(layer: int, count: int) -> Tensor:
        tokens = at_layer[layer].tokens[states.mask.bool()]  # [sum of T, H]
        rows = torch.randint(len(tokens), (count,), generator=generator)
        return tokens[rows.to(tokens.device)].float().clone()

    return initial
