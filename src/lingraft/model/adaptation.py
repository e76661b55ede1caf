"""All that is trained: prompt, adapter, head, and copies of the backbone's own parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ..backbones import LayerStack
from ..core.errors import ConfigError
from ..core.records import States
from ..recipe.settings import Block
from .adapters import Adapter, adapters
from .prompts import Initial, prompts


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
        self.ngram_classifiers = nn.ModuleDict()

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
