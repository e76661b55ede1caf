"""The layer loop: frozen blocks, with prompts and adapters as ordinary calls between them.

Whatever lies below the cut has been computed already; we walk from the states at the cut to the
head. Switched off (``parts=False``), the walk *is* the untouched backbone: also what a freezing
strategy thaws is trained as a copy, which takes the original's place only during the walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from torch import Tensor, nn
from torch.func import functional_call

from ..backbones import LayerStack
from ..backbones.walk import step
from ..core.records import IDS, Example, States
from .adaptation import Adaptation
from .prompts import insert


class Network(Protocol):
    """What training and evaluation need of a network; :class:`GraftedModel` is one."""

    adaptation: Any
    stack: Any

    def __call__(
        self, states: States, language: str, visited: dict[int, States] | None = None
    ) -> tuple[States, Tensor]:
        """Final states and logits, ``[B, C]`` or ``[B, T, C]``; ``visited`` gets the states after each layer."""
        ...

    def ensemble(self, examples: Sequence[Example], logits: list[Tensor], language: str) -> list[Tensor]:
        """Logits of examples, with what their texts say by themselves: what evaluation and prediction go by."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Switch dropout of the trained parts on or off."""
        ...

    def eval(self) -> Any:
        """Switch dropout off."""
        ...


class GraftedModel(nn.Module):
    """A frozen stack and an adaptation, walked from the cut upwards."""

    def __init__(self, stack: LayerStack, adaptation: Adaptation) -> None:
        super().__init__()
        self.stack = stack
        self.adaptation = adaptation

    def forward(self, states: States, language: str, visited: dict[int, States] | None = None) -> tuple[States, Tensor]:
        """States at the cut to states after the last layer, virtual tokens removed, and logits of texts or tokens.

        ``visited``, if given, is filled with the states after each layer, virtual tokens removed.
        """
        final = self.walk(states, language, visited=visited)
        return final, self.adaptation.head.read(final)

    def ensemble(self, examples: Sequence[Example], logits: list[Tensor], language: str) -> list[Tensor]:
        """Return the logits of examples, with what the text classifiers of the language make of them."""
        return self.adaptation.ensemble(examples, logits, language)

    def walk(
        self, states: States, language: str, *, parts: bool = True, visited: dict[int, States] | None = None
    ) -> States:
        """States at any layer to states after the last; without ``parts``, the frozen backbone's."""

        def steps() -> States:
            last = states
            for last in self._layers(states, language, parts):
                if visited is not None:
                    visited[last.layer] = last.without_prompt()
            last = last.without_prompt()
            final = replace(last, tokens=self.stack.finish(last.tokens))
            if visited is not None:
                visited[final.layer] = final
            return final

        if not parts:
            return steps()
        with self.adaptation.within(self.stack, language) as weights:
            return with_weights(self.stack, weights, steps)

    def _layers(self, states: States, language: str, parts: bool) -> Iterator[States]:
        prompt = self.adaptation.prompt if parts else None
        adapter = self.adaptation.adapter if parts else None
        if states.layer == IDS:
            states = replace(states, tokens=self.stack.embed(states.tokens), layer=0)
        if states.layer == 0 and adapter is not None:
            states = replace(states, tokens=adapter.embedded(language, states.tokens))
        for layer in range(states.layer, self.stack.num_layers):
            given = prompt(layer, language) if prompt is not None else None
            if prompt is not None and prompt.carried and isinstance(given, Tensor):
                states, given = insert(given, states), None
            inside = adapter.feed_forward(layer, language) if adapter is not None else None
            states = step(self.stack, layer, states, given, inside)
            if adapter is not None:
                states = replace(states, tokens=adapter(layer, language, states.tokens))
            yield states

    def train(self, mode: bool = True) -> GraftedModel:
        """Only the adaptation ever leaves eval mode."""
        super().train(mode)
        self.stack.eval()
        return self


class _Walk(nn.Module):
    """Runs a function while the parameters of ``stack`` are others."""

    def __init__(self, stack: LayerStack) -> None:
        super().__init__()
        self.stack = stack

    def forward(self, walk: Callable[[], States]) -> States:
        return walk()


def with_weights(stack: LayerStack, weights: Mapping[str, Tensor], walk: Callable[[], States]) -> States:
    """Call ``walk`` with ``weights`` in the place of the stack's parameters of these names."""
    if not weights:
        return walk()
    found: States = functional_call(
        _Walk(stack), {f"stack.{name}": tensor for name, tensor in weights.items()}, (walk,)
    )
    return found
