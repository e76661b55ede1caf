"""The layer loop: frozen blocks, with prompts and adapters as ordinary calls between them.

Whatever lies below the cut has been computed already; we walk from the states at the cut to the
head. Switched off (``parts=False``), the walk *is* the untouched backbone: also what a freezing
strategy thaws is trained as a copy, which takes the original's place only during the walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .adapters import Adapter, adapters
from .backbones import FeedForward, LayerStack, Prefix
from .config import Block
from .errors import ConfigError
from .prompts import Initial, insert, prompts
from .records import IDS, States


class Adaptation(nn.Module):
    """All that is learned: prompt, adapter, head, thawed parameters, what words say. Nothing else is ever saved."""

    def __init__(
        self,
        prompt: nn.Module | None,
        adapter: Adapter | None,
        head: nn.Linear,
        unfrozen: Mapping[str, Tensor] | None = None,
        per_token: bool = False,
    ) -> None:
        super().__init__()
        self.per_token = per_token
        self.prompt = prompt
        self.adapter = adapter
        self.head = head
        # A parameter's name has dots, a module's attribute must not.
        thawed = {name.replace(".", "/"): nn.Parameter(tensor.clone()) for name, tensor in (unfrozen or {}).items()}
        self.unfrozen = nn.ParameterDict(thawed)
        # Fitted when all else is trained, and asked by who knows the texts: there are none in here.
        self.lexical = nn.ModuleDict()

    def read(self, final: States) -> Tensor:
        """Final states to logits: of each text, ``[B, C]``, or of each of its tokens, ``[B, T, C]``."""
        logits: Tensor = self.head(final.tokens if self.per_token else final.pooled())
        return logits

    @contextmanager
    def within(self, stack: LayerStack, language: str) -> Iterator[dict[str, Tensor]]:
        """What takes the place of the stack's parameters, by their names; inside, adapters work beside them."""
        weights = {name.replace("/", "."): tensor for name, tensor in self.unfrozen.items()}
        beside = self.adapter.beside(stack) if self.adapter is not None and self.training else None
        with beside or nullcontext():
            if self.adapter is not None and beside is None:
                weights |= self.adapter.weights(stack, language)
            yield weights


class Network(Protocol):
    """What training and evaluation need of a network; :class:`GraftedModel` is one."""

    adaptation: Any
    stack: Any

    def __call__(
        self, states: States, language: str, visited: dict[int, States] | None = None
    ) -> tuple[States, Tensor]:
        """Final states and logits, ``[B, C]`` or ``[B, T, C]``; ``visited`` gets the states after each layer."""
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
        return final, self.adaptation.read(final)

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


def build_adaptation(
    *,
    prompt: Block | None,
    adapter: Block | None,
    stack: LayerStack,
    cut: int,
    languages: Iterable[str],
    head: nn.Linear,
    initial: Initial,
    unfrozen: Iterable[str] = (),
    per_token: bool = False,
) -> Adaptation:
    """Make the trained parts for the blocks from the cut to the top.

    Args:
        prompt: Block of the recipe.
        adapter: Block of the recipe.
        stack: The frozen layers; on the meta device for counting.
        cut: First layer that receives anything trainable (``IDS`` and 0 are alike here).
        languages: Target languages, each of which gets parts of its own.
        head: Logits from the states of a text or of a token.
        initial: Where prompts start.
        unfrozen: Names of the stack's parameters that are trained, as copies.
        per_token: Whether the head reads each token, and not their mean.

    Raises:
        ConfigError: A parameter would be thawed and replaced by an adapter.
    """
    languages, layers = list(languages), range(max(0, cut), stack.num_layers)
    build_prompt: Callable[..., Any] | None = prompts.build(prompt.name, prompt.options) if prompt else None
    build_adapter: Callable[..., Any] | None = adapters.build(adapter.name, adapter.options) if adapter else None
    parameters = dict(stack.named_parameters())
    adaptation = Adaptation(
        prompt=build_prompt(stack, layers, languages, initial) if build_prompt else None,
        adapter=build_adapter(stack, layers, languages) if build_adapter else None,
        head=head,
        unfrozen={name: parameters[name].detach() for name in sorted(unfrozen)},
        per_token=per_token,
    )
    if adapter and adaptation.adapter is not None:
        with torch.no_grad():
            twice = {name.replace("/", ".") for name in adaptation.unfrozen} & set(
                adaptation.adapter.weights(stack, "")
            )
        if twice:
            raise ConfigError(
                [f"adapter: {adapter.name} and freezing would both change {min(twice)}; choose one of the two"]
            )
    return adaptation
