"""The forward pass: frozen blocks, with prompts and adapters as ordinary calls between them.

Whatever lies below the cut has been computed already; the forward pass goes from the states at the
cut to the head. With adapters disabled (``adapters_enabled=False``) it *is* that of the untouched
backbone: also what a freezing strategy unfreezes is trained as a copy, which takes the original's place
only during a forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from ..backbones import LayerStack
from ..backbones.walk import embedded, step
from ..core.examples import Example
from ..core.records import IDS, States
from .adaptation import Adaptation
from .prompts import insert

T = TypeVar("T")

Run: TypeAlias = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]
"""Runs a piece of the forward pass on what goes into it."""


class Network(Protocol):
    """What training and evaluation need of a network; :class:`GraftedModel` is one."""

    adaptation: Any
    stack: Any

    def __call__(
        self, states: States, language: str, visited: dict[int, States] | None = None
    ) -> tuple[States, Tensor]:
        """Return final states and logits, ``[B, C]`` or ``[B, T, C]``; ``visited`` gets the states after each layer."""
        ...

    def ensemble(
        self, examples: Sequence[Example], logits: list[Tensor], pooled: Tensor, language: str
    ) -> list[Tensor]:
        """Ensemble logits of examples with the language's map and text classifiers: what all answers go by."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Switch dropout of the trained parts on or off."""
        ...

    def eval(self) -> Any:
        """Switch dropout off."""
        ...


class GraftedModel(nn.Module):
    """A frozen stack and an adaptation, whose forward pass begins at the cut.

    Args:
        stack: The frozen layers.
        adaptation: What is learnt.
        checkpointing: Whether training keeps of each block its input alone, and computes the rest again on the way
            back (gradient checkpointing: Chen et al., 2016): the same gradients, in less memory and more time.
    """

    def __init__(self, stack: LayerStack, adaptation: Adaptation, *, checkpointing: bool = False) -> None:
        super().__init__()
        self.stack = stack
        self.adaptation = adaptation
        self.checkpointing = checkpointing
        self._merged: dict[str, tuple[object, LayerStack]] = {}
        self._prompted: dict[str, LayerStack] = {}

    def forward(self, states: States, language: str, visited: dict[int, States] | None = None) -> tuple[States, Tensor]:
        """Compute final states, virtual tokens removed, and logits of texts or tokens, from states at the cut.

        ``visited``, if given, is filled with the states after each layer, virtual tokens removed.
        """
        final = self.run_layers(states, language, visited=visited)
        return final, self._logits(final, language)

    def _logits(self, final: States, language: str) -> Tensor:
        """Read final states by the head, and by the decoder where that writes the answers."""
        head = self.adaptation.head
        if not self.training and not torch.is_grad_enabled():
            return head.logits(final, self.merged(language))
        stack = self._with_prompted_decoder(language)
        with self.adaptation.within_decoder(stack, language) as weights:
            return with_weights(stack, weights, lambda: head.logits(final, stack))

    def _with_prompted_decoder(self, language: str) -> LayerStack:
        """Return the stack with what the prompt gives for the blocks of a decoder; made once for a language.

        All tensors are those of the frozen stack, whose own modules stay without hooks: others may compute with them.
        """
        prompt = self.adaptation.in_decoder
        if prompt is None:
            return self.stack
        if language not in self._prompted:
            stack: Any = sharing_tensors(self.stack)
            stack.decoder.attend_to(lambda layer: prompt(layer, language))
            self._prompted[language] = stack
        return self._prompted[language]

    def ensemble(
        self, examples: Sequence[Example], logits: list[Tensor], pooled: Tensor, language: str
    ) -> list[Tensor]:
        """Return the logits of examples, with what the language's map and text classifiers make of them."""
        return self.adaptation.ensemble(examples, logits, pooled, language)

    def run_layers(
        self, states: States, language: str, *, adapters_enabled: bool = True, visited: dict[int, States] | None = None
    ) -> States:
        """Run the layers from that of ``states`` upwards: states at any layer to states after the last.

        Args:
            states: At any layer, or token ids.
            language: Whose parts are used.
            adapters_enabled: Whether prompts, adapters and unfrozen copies take part; without them, the states are
                the frozen backbone's.
            visited: If given, filled with the states after each layer, virtual tokens removed.
        """
        if not adapters_enabled:
            return self.through(self.stack, states, language, adapters_enabled, visited)
        if not self.training and not torch.is_grad_enabled():
            return self.through(self.merged(language), states, language, adapters_enabled, visited)
        # What is read on is noted on the way, once.
        if self.checkpointing and torch.is_grad_enabled() and states.reading is None:
            run = self._checkpointed(language)
            return self.through(self.stack, states, language, adapters_enabled, visited, run)
        with self.adaptation.within(self.stack, language) as weights:
            return with_weights(
                self.stack, weights, lambda: self.through(self.stack, states, language, adapters_enabled, visited)
            )

    def _checkpointed(self, language: str) -> Run:
        """Return what runs a piece of the stack and keeps its input alone.

        What takes the place of the stack's parameters does so within the piece, as often as it is computed.
        """

        def run(piece: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
            def compute(given: Tensor) -> Tensor:
                with self.adaptation.within(self.stack, language) as weights:
                    return with_weights(self.stack, weights, lambda: piece(given))

            if not given.is_floating_point():  # token ids
                return compute(given)
            found: Tensor = checkpoint(compute, given, use_reentrant=False)
            return found

        return run

    def merged(self, language: str) -> LayerStack:
        """Return the stack with all that takes the place of its parameters merged in, for a language.

        Made once, and again after any of it has changed; shares everything else with the frozen stack, to which
        nothing is written, so several threads may predict at a time.
        """
        adaptation, key = self.adaptation, self.adaptation.weights_for(language)
        state = adaptation.weights_state()
        known = self._merged.get(key)
        if known is None or known[0] != state:
            inside, decoder = (
                within(self.stack, language, merge=True) for within in (adaptation.within, adaptation.within_decoder)
            )
            with torch.no_grad(), inside as weights, decoder as of_decoder:
                known = self._merged[key] = (
                    state,
                    with_parameters(self._with_prompted_decoder(language), weights | of_decoder),
                )
        return known[1]

    def through(
        self,
        stack: LayerStack,
        states: States,
        language: str,
        adapters_enabled: bool = True,
        visited: dict[int, States] | None = None,
        run: Run = lambda piece, given: piece(given),
    ) -> States:
        """Run states through ``stack``, as it is or as :meth:`merged` gives it; else as :meth:`run_layers`."""
        last = states
        for last in self._layers(stack, states, language, adapters_enabled, run):
            if visited is not None:
                visited[last.layer] = last.without_prompt()
        last = last.without_prompt()
        final = replace(last, tokens=run(stack.finish, last.tokens))
        if visited is not None:
            visited[final.layer] = final
        return final

    def _layers(
        self, stack: LayerStack, states: States, language: str, adapters_enabled: bool, run: Run
    ) -> Iterator[States]:
        prompt = self.adaptation.prompt if adapters_enabled else None
        adapter = self.adaptation.adapter if adapters_enabled else None
        if states.layer == IDS:
            ids = states
            tokens = run(lambda given: embedded(stack, replace(ids, tokens=given)).tokens, ids.tokens)
            states = replace(ids, tokens=tokens, layer=0)
        if states.layer == 0 and adapter is not None:
            states = replace(states, tokens=adapter.embedded(language, states.tokens))
        for layer in range(states.layer, stack.num_layers):
            given = prompt(layer, language) if prompt is not None else None
            if isinstance(given, Tensor) and goes_on(states):
                given = None  # virtual tokens are among what has been read
            if prompt is not None and prompt.carried and isinstance(given, Tensor):
                states, given = insert(given, states), None

            def block(tokens: Tensor, layer: int = layer, states: States = states, given: Any = given) -> Tensor:
                inside = adapter.feed_forward(layer, language) if adapter is not None else None
                after = step(stack, layer, replace(states, tokens=tokens), given, inside).tokens
                return after if adapter is None else adapter(layer, language, after)

            states = replace(states, tokens=run(block, states.tokens), layer=layer + 1)
            yield states

    def train(self, mode: bool = True) -> GraftedModel:
        """Let only the adaptation leave eval mode."""
        super().train(mode)
        self.stack.eval()
        return self


def goes_on(states: States) -> bool:
    """Return whether the tokens follow others that have been read."""
    return states.reading is not None and states.reading.before is not None


class _Forward(nn.Module):
    """Runs a function while the parameters of ``stack`` are others."""

    def __init__(self, stack: LayerStack) -> None:
        super().__init__()
        self.stack = stack

    def forward(self, compute: Callable[[], T]) -> T:
        return compute()


def with_weights(stack: LayerStack, weights: Mapping[str, Tensor], compute: Callable[[], T]) -> T:
    """Call ``compute`` with ``weights`` in the place of the stack's parameters of these names."""
    if not weights:
        return compute()
    found: T = functional_call(
        _Forward(stack), {f"stack.{name}": tensor for name, tensor in weights.items()}, (compute,)
    )
    return found


def with_parameters(stack: LayerStack, weights: Mapping[str, Tensor]) -> LayerStack:
    """Return a stack that has ``weights`` for its parameters of these names, and shares all else with ``stack``."""
    if not weights:
        return stack
    return sharing_tensors(stack, {id(stack.get_parameter(name)): tensor for name, tensor in weights.items()})


def sharing_tensors(stack: LayerStack, others: Mapping[int, Tensor] = MappingProxyType({})) -> LayerStack:
    """Return a copy of the stack's modules with its own tensors, but for ``others`` in the place of those by ``id``."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*stack.parameters(), *stack.buffers())}
    for place, tensor in others.items():
        shared[place] = nn.Parameter(tensor.detach(), requires_grad=False)
    return deepcopy(stack, shared)


def shapes_of(stack: LayerStack) -> LayerStack:
    """Return the same stack on the meta device: shapes without values, and no copy of any."""
    tensors = (*stack.parameters(), *stack.buffers())
    return deepcopy(stack, {id(tensor): _shape(tensor) for tensor in tensors})


def _shape(tensor: Tensor) -> Tensor:
    shape = torch.empty_like(tensor, device="meta")
    return nn.Parameter(shape, requires_grad=False) if isinstance(tensor, nn.Parameter) else shape
