"""All that is learned: prompt, adapter, head, ensembles of languages, LoRA in all layers, copies of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ..backbones import Blocks, LayerStack
from ..backbones.encoder_decoder import EncoderDecoderStack
from ..core.errors import ConfigError
from ..core.examples import Example
from ..recipe.blocks import Block
from .adapters import Adapter, adapters, linear_layers, parameter_name
from .answering import as_answering
from .comparison.classifier import ComparisonClassifier
from .ensembles import LanguageEnsemble
from .heads import Head
from .prompts import Initial, Prompt, prompts


class Adaptation(nn.Module):
    """All that is learned: prompt, adapter, head, ensembles, unfrozen parameters. Nothing else is ever saved."""

    def __init__(
        self,
        prompt: nn.Module | None,
        adapter: Adapter | None,
        head: Head,
        unfrozen: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.prompt = prompt
        self.adapter = adapter
        self.head = head
        # A parameter's name has dots, a module's attribute must not.
        copies = {name.replace(".", "/"): nn.Parameter(tensor.clone()) for name, tensor in (unfrozen or {}).items()}
        self.unfrozen = nn.ParameterDict(copies)
        self.lora: Adapter | None = None  # in all layers, from the last epochs on, see `add_lora`
        self.comparison: ComparisonClassifier | None = None  # of pairs of texts, fitted when all else is trained
        self.ensembles = nn.ModuleDict()  # by language, fitted when all else is trained

    @property
    def leaves_states(self) -> bool:
        """Whether final states are the frozen backbone's: there is nothing below the head."""
        return self.prompt is None and not self._adapters() and not self.unfrozen

    def add_ensemble(self, language: str, ensemble: LanguageEnsemble) -> None:
        """Answer by ``ensemble`` from now on, for texts in ``language``."""
        self.ensembles[language] = ensemble

    def ensemble(
        self, examples: Sequence[Example], logits: list[Tensor], pooled: Tensor, language: str
    ) -> list[Tensor]:
        """Return the network's logits of examples, or what the comparison or the language's ensemble makes of them.

        Args:
            examples: Those with two texts are compared, where that was learnt; no language has an ensemble for them.
            logits: ``[C]`` of each example, where the language has an ensemble; thresholds behind them stay.
            pooled: States of the network, ``[N, H]``.
            language: What the examples are read as.
        """
        if self.comparison is not None and logits:
            pairs = [(example.texts[0], example.texts[1]) for example in examples]
            with torch.no_grad():
                return list(self.comparison(pairs, torch.stack(logits)))
        if language not in self.ensembles or not logits or any(len(example.texts) > 1 for example in examples):
            return logits
        texts, of_language = [example.texts[0] for example in examples], self.ensembles[language]
        with torch.no_grad():
            found, thresholds = torch.stack(logits).tensor_split([len(logits[0]) - self.head.thresholds], dim=1)
            return list(torch.cat([of_language(texts, found, pooled, self.head), thresholds], dim=1))

    def weights_for(self, language: str) -> str:
        """Return a name that languages share for which :meth:`GraftedModel.merged` is the same."""
        if self.in_decoder is not None:
            return language
        return "" if self.adapter is None else self.adapter.weights_for(language)

    @property
    def in_decoder(self) -> Prompt | None:
        """What the prompt gives for blocks of the decoder that writes the answers; None where it gives nothing."""
        found: Prompt | None = getattr(self.prompt, "decoder", None)
        return found

    def weights_state(self) -> tuple[object, ...]:
        """Return what changes whenever something that takes the place of the stack's parameters does."""
        trained = [*self.unfrozen.values(), *(p for part in self._adapters() for p in part.parameters())]
        return tuple((id(tensor), tensor._version, tensor.device, tensor.data_ptr()) for tensor in trained)

    @contextmanager
    def within(self, stack: LayerStack, language: str, *, merge: bool = False) -> Iterator[dict[str, Tensor]]:
        """Give what takes the place of the stack's parameters, by their names; not what does so in a decoder apart.

        In training, inside the context, adapters that can work beside the weights instead, unless asked to ``merge``.
        """
        weights = {name.replace("/", "."): tensor for name, tensor in self.unfrozen.items()}
        with self._changing(self._adapters(), stack, language, merge) as changed:
            yield weights | changed

    @contextmanager
    def within_decoder(self, stack: LayerStack, language: str, *, merge: bool = False) -> Iterator[dict[str, Tensor]]:
        """Give what takes the place of parameters of the decoder that writes the answers; else as :meth:`within`."""
        inside = [adapter.decoder for adapter in self._adapters() if adapter.decoder is not None]
        decoder = stack.decoder if isinstance(stack, EncoderDecoderStack) else None
        if decoder is None or not inside:
            yield {}
            return
        with self._changing(inside, decoder, language, merge) as changed:
            yield {f"decoder.{name}": tensor for name, tensor in changed.items()}

    @contextmanager
    def _changing(
        self, parts: Iterable[Adapter], blocks: Blocks, language: str, merge: bool
    ) -> Iterator[dict[str, Tensor]]:
        weights: dict[str, Tensor] = {}
        with ExitStack() as inside:
            for adapter in parts:
                beside = adapter.beside(blocks) if self.training and not merge else None
                if beside is None:
                    weights |= adapter.weights(blocks, language)
                else:
                    inside.enter_context(beside)
            yield weights

    def _adapters(self) -> list[Adapter]:
        """Return those that there are; what they do to the weights can be added up."""
        return [adapter for adapter in (self.adapter, self.lora) if adapter is not None]


def build_adaptation(
    *,
    prompt: Block | None,
    adapter: Block | None,
    stack: LayerStack,
    cut: int,
    languages: Iterable[str],
    head: Head,
    initial: Initial,
    unfrozen: Iterable[str] = (),
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

    Raises:
        ConfigError: A parameter would be unfrozen and replaced by an adapter.
    """
    languages, layers, stack = list(languages), range(max(0, cut), stack.num_layers), as_answering(stack, head)
    build_prompt: Callable[..., Any] | None = prompts.build(prompt.name, prompt.options) if prompt else None
    build_adapter: Callable[..., Any] | None = adapters.build(adapter.name, adapter.options) if adapter else None
    parameters = dict(stack.named_parameters())
    adaptation = Adaptation(
        prompt=build_prompt(stack, layers, languages, initial) if build_prompt else None,
        adapter=build_adapter(stack, layers, languages) if build_adapter else None,
        head=head,
        unfrozen={name: parameters[name].detach().float() for name in sorted(unfrozen)},
    )
    if adapter:
        _refuse_twice(adapter.name, adaptation, {name.replace("/", ".") for name in adaptation.unfrozen}, stack)
    return adaptation


def add_lora(adaptation: Adaptation, lora: Block, adapter: Block | None, stack: LayerStack) -> None:
    """Add LoRA in all layers, also in those below the cut; it begins with no effect.

    Args:
        adaptation: Whose forward pass must begin with token ids from now on.
        lora: Block for the LoRA.
        adapter: Block that the adaptation's adapter was made from.
        stack: The frozen layers; on the meta device for counting.

    Raises:
        ConfigError: The adapter replaces weights itself.
    """
    layers, stack = range(stack.num_layers), as_answering(stack, adaptation.head)
    if adapter:
        _refuse_twice(
            adapter.name, adaptation, {parameter_name(*place) for place in linear_layers(stack, layers)}, stack
        )
    if adaptation.adapter is not None and adaptation.adapter.decoder is not None:
        raise ConfigError(["adapter: LoRA in all layers is for the decoder, too; set adapter.decoder: false"])
    build: Callable[..., Adapter] = adapters.build(lora.name, lora.options)
    adaptation.lora = build(stack, layers, ()).to(device_of(adaptation, stack))


def device_of(adaptation: Adaptation, stack: LayerStack) -> torch.device:
    """Return where an adaptation is; that of a head that learns nothing is the stack's."""
    return next(chain(adaptation.head.parameters(), stack.parameters())).device


def _refuse_twice(adapter: str, adaptation: Adaptation, changed: set[str], stack: LayerStack) -> None:
    """Refuse an adapter that replaces a parameter of the stack that freezing changes as well.

    Raises:
        ConfigError: It does.
    """
    if adaptation.adapter is None:
        return
    with torch.no_grad():
        twice = changed & set(adaptation.adapter.weights(stack, ""))
    if twice:
        raise ConfigError([f"adapter: {adapter} and freezing would both change {min(twice)}; choose one of the two"])
