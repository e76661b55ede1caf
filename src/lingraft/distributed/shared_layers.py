"""The frozen layers, computed by several ranks: each encodes some of the texts, and has some rows of every batch.

Losses, heads and the optimiser are on rank 0 alone, over the states of all rows, so a loss that compares the rows of a
batch is what it is in one process. The parts inside the layers go to the other ranks whenever they have changed, and
what each rank's rows contribute to their gradients is added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..backbones import Precision
from ..backbones.depth import shortened
from ..backbones.devices import seed_generators
from ..backbones.encoding import EncodeBatches
from ..backbones.loading import Backbone
from ..backbones.walk import encode_batch
from ..core.errors import RunError
from ..core.records import States
from ..model.adaptation import Adaptation
from ..model.network import GraftedModel
from ..training.frozen_head import Before
from ..training.grafting import graft
from ..training.pools import Context, TrialPools
from .ranks import Ranks


@dataclass(frozen=True)
class Frozen:
    """What all ranks must compute by."""

    weights_digest: str
    precision: Precision
    layers: int


def frozen_of(backbone: Backbone) -> Frozen:
    """Return what the other ranks must compute by, to compute as this one does."""
    return Frozen(backbone.weights_digest, backbone.stack.precision, backbone.stack.num_layers)


@dataclass(frozen=True)
class Texts:
    """A batch of texts to encode, as token ids, and the layer whose states are kept."""

    ids: Sequence[Sequence[int]]
    cut: int


@dataclass(frozen=True)
class Parts:
    """What is inside the layers: ``modules`` where there are others than before, and the ``values`` of all of it."""

    modules: Adaptation | None
    values: Mapping[str, Tensor]


@dataclass(frozen=True)
class Rows:
    """Some rows of a batch, to be run through the layers.

    ``number`` counts the batches; gradients of the parameters that are named in ``learning`` are going to be asked
    for. Where what is inside the layers has ``changed`` since the last batch, ``parts`` brings it to the other ranks.
    """

    number: int
    states: States
    language: str
    adapters_enabled: bool = True
    visited: bool = False
    learning: tuple[str, ...] = ()
    training: bool = False
    checkpointing: bool = False
    seed: int = 0
    changed: bool = False
    parts: Parts | None = None


@dataclass(frozen=True)
class Slopes:
    """Gradients of a loss by what the rows of batch ``number`` became, layer by layer; None where it does not look."""

    number: int
    gradients: Sequence[Tensor | None]


@dataclass(frozen=True)
class Share:
    """What a rank is to compute, and by which weights."""

    frozen: Frozen
    work: Texts | Rows | Slopes | None


@dataclass
class Computer:
    """Computes the shares of one rank.

    Args:
        backbone: The rank's own copy of the frozen model.
        device: Where that is.
        network: With what is inside the layers, as far as it is known.
    """

    backbone: Backbone
    device: torch.device
    network: GraftedModel | None = None
    graphs: dict[int, tuple[list[Tensor], list[nn.Parameter]]] = field(default_factory=dict)
    """By batch: what its rows became, and the parameters that this depends on."""

    def __call__(self, share: Share) -> Any:
        """Compute a share.

        Raises:
            RunError: The weights here are others.
        """
        if share.frozen.layers < self.backbone.stack.num_layers:  # rank 0 has chosen to read after fewer
            self.backbone = shortened(self.backbone, share.frozen.layers)
        if share.frozen.weights_digest != self.backbone.weights_digest:
            raise RunError(
                f"{self.backbone.name} has the digest {self.backbone.weights_digest} here and "
                f"{share.frozen.weights_digest} on rank 0; give every machine the same checkpoint"
            )
        self.backbone.stack.precision = share.frozen.precision
        match share.work:
            case Texts(ids, cut):
                states, pooled = encode_batch(ids, self.backbone.stack, cut, self.device)
                return states.to(torch.device("cpu")), pooled.cpu()
            case Rows() as rows:
                return self._forward(rows)
            case Slopes() as slopes:
                return self._backward(slopes)
            case None:
                return None

    def _forward(self, rows: Rows) -> list[Tensor]:
        """Run rows through the layers; returns the states that are wanted, the last ones last."""
        if rows.changed:
            self.graphs.clear()  # no gradient by what was before will be asked for
        if rows.parts is not None:
            self._renew(rows.parts)
        assert self.network is not None
        inside = parameters_inside(self.network.adaptation)
        if rows.learning:
            for name, parameter in inside.items():
                parameter.requires_grad_(name in rows.learning)
        self.network.checkpointing = rows.checkpointing
        self.network.train(rows.training)
        if rows.training:
            seed_generators(rows.seed, self.device)
        visited: dict[int, States] = {}
        with torch.set_grad_enabled(bool(rows.learning)):
            final = self.network.run_layers(
                rows.states.to(self.device),
                rows.language,
                adapters_enabled=rows.adapters_enabled,
                visited=visited if rows.visited else None,
            )
        visited[final.layer] = final
        found = [visited[layer].tokens for layer in sorted(visited)]
        if rows.learning:
            self.graphs[rows.number] = found, [inside[name] for name in rows.learning]
        return [tokens.detach().cpu() for tokens in found]

    def _backward(self, slopes: Slopes) -> list[Tensor | None]:
        """Return the gradients of the parameters that are learnt."""
        found, parameters = self.graphs[slopes.number]
        looked = [
            (tokens, gradient.to(tokens.device))
            for tokens, gradient in zip(found, slopes.gradients, strict=True)
            if gradient is not None and tokens.requires_grad
        ]
        if not looked:
            return [None] * len(parameters)
        tokens, gradients = zip(*looked, strict=True)
        back = torch.autograd.grad(tokens, parameters, gradients, retain_graph=True, allow_unused=True)
        return [None if gradient is None else gradient.cpu() for gradient in back]

    def _renew(self, parts: Parts) -> None:
        """Take over what has changed."""
        if parts.modules is not None:
            self.network = GraftedModel(self.backbone.stack, parts.modules.to(self.device))
        assert self.network is not None
        self.network.adaptation.load_state_dict(parts.values)


def inside_layers(adaptation: Adaptation) -> Adaptation:
    """Return the same parts without head and ensembles, which are for rank 0 alone."""
    inside = Adaptation(adaptation.prompt, adaptation.adapter, cast(Any, nn.Identity()))
    inside.unfrozen, inside.lora = adaptation.unfrozen, adaptation.lora
    return inside


def parameters_inside(adaptation: Adaptation) -> dict[str, nn.Parameter]:
    """Return the parameters that states depend on, by name."""
    return dict(inside_layers(adaptation).named_parameters())


class SharedModel(GraftedModel):
    """A network whose layers are computed by all ranks of a launch.

    Args:
        model: The network, whose parts this one has.
        backbone: Its frozen model.
        ranks: The processes.
    """

    def __init__(self, model: GraftedModel, backbone: Backbone, ranks: Ranks) -> None:
        super().__init__(model.stack, model.adaptation, checkpointing=model.checkpointing)
        self.deal = Deal(ranks, Computer(backbone, next(model.stack.parameters()).device, model))

    def run_layers(
        self, states: States, language: str, *, adapters_enabled: bool = True, visited: dict[int, States] | None = None
    ) -> States:
        """Run the layers as :meth:`GraftedModel.run_layers` does, by all ranks where each gets a row.

        What a decoder reads token by token stays on rank 0.
        """
        if states.reading is not None or len(states.mask) < self.deal.ranks.size:
            return super().run_layers(states, language, adapters_enabled=adapters_enabled, visited=visited)
        inside = parameters_inside(self.adaptation)
        wanted = torch.is_grad_enabled() and adapters_enabled
        learning = {name: parameter for name, parameter in inside.items() if wanted and parameter.requires_grad}
        rows = Rows(
            0,
            states,
            language,
            adapters_enabled=adapters_enabled,
            visited=visited is not None,
            learning=tuple(learning),
            training=self.training,
            checkpointing=self.checkpointing,
        )
        found: Sequence[Tensor] = _Dealt.apply(self.deal, rows, *learning.values())  # type: ignore[no-untyped-call]
        last = self.stack.num_layers
        first = last - len(found) + 1
        after = {first + i: replace(states, tokens=tokens, layer=first + i) for i, tokens in enumerate(found)}
        if visited is not None:
            visited.update(after)
        return after[last]


class Deal:
    """What rank 0 keeps of the batches that it has dealt out.

    Args:
        ranks: The processes.
        compute: The shares of rank 0.
    """

    def __init__(self, ranks: Ranks, compute: Computer) -> None:
        self.ranks, self.compute = ranks, compute
        self.number = 0
        self.told: tuple[object, ...] = ()
        self.shapes: tuple[object, ...] = ()

    def forward(self, batch: Rows) -> tuple[int, list[Tensor]]:
        """Run a batch through the layers; returns its number, and the states that are wanted, the last ones last."""
        self.number += 1
        assert self.compute.network is not None
        adaptation = self.compute.network.adaptation
        parts, count, device = self._news(adaptation), len(batch.states.mask), batch.states.mask.device
        seed = int(torch.randint(2**31, ())) if batch.training else 0
        chunks = [chunk.tolist() for chunk in torch.arange(count).tensor_split(self.ranks.size)]
        shares = [
            replace(
                batch,
                number=self.number,
                states=batch.states.take(rows).to(torch.device("cpu")),
                seed=seed + rank,
                changed=parts is not None,
                parts=parts if rank else None,
            )
            for rank, rows in enumerate(chunks)
        ]
        found = self._do(shares)
        return self.number, [torch.cat(each).to(device) for each in zip(*found, strict=True)]

    def backward(self, number: int, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Return the gradients of what learnt, by what a loss makes of the states of a batch."""
        count = next((len(gradient) for gradient in gradients if gradient is not None), 0)
        rows = [chunk.tolist() for chunk in torch.arange(count).tensor_split(self.ranks.size)]
        split = [[None if gradient is None else gradient[chunk].cpu() for gradient in gradients] for chunk in rows]
        found = self._do([Slopes(number, each) for each in split])
        device = self.compute.device
        sums = [[gradient for gradient in each if gradient is not None] for each in zip(*found, strict=True)]
        return [torch.stack(each).sum(0).to(device) if each else None for each in sums]

    def _do(self, work: Sequence[Rows | Slopes]) -> list[list[Any]]:
        backbone = self.compute.backbone
        frozen = frozen_of(backbone)
        return self.ranks.deal([Share(frozen, one) for one in work], self.compute)

    def _news(self, adaptation: Adaptation) -> Parts | None:
        """Return what is inside the layers, where that has changed since the other ranks were told."""
        inside = inside_layers(adaptation)
        tensors = inside.state_dict(keep_vars=True)
        state = tuple((name, id(tensor), tensor._version) for name, tensor in tensors.items())
        if state == self.told:
            return None
        shapes = tuple((name, tuple(tensor.shape)) for name, tensor in tensors.items())
        values = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
        modules = None if shapes == self.shapes and self.told else inside
        self.told, self.shapes = state, shapes
        return Parts(modules, values)


class _Dealt(torch.autograd.Function):
    """The layers as a function of the parameters inside them, for the gradient."""

    @staticmethod
    def forward(ctx: Any, deal: Deal, batch: Rows, *parameters: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.deal = deal
        ctx.number, found = deal.forward(batch)
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        return None, None, *ctx.deal.backward(ctx.number, gradients)


def encoded_by(ranks: Ranks) -> EncodeBatches:
    """Return what encodes texts by all ranks, a batch for each at a time."""

    def encode(
        batches: Iterable[Sequence[Sequence[int]]], backbone: Backbone, cut: int, device: torch.device
    ) -> Iterator[tuple[States, Tensor]]:
        compute, waiting = Computer(backbone, device), list(batches)
        frozen = frozen_of(backbone)
        for start in range(0, len(waiting), ranks.size):
            work: list[Texts | None] = [Texts(ids, cut) for ids in waiting[start : start + ranks.size]]
            work += [None] * (ranks.size - len(work))
            yield from ranks.deal([Share(frozen, one) for one in work], compute)[: len(waiting) - start]

    return encode


def grafted_by(ranks: Ranks, context: Context, pools: TrialPools, head: Before | None) -> SharedModel:
    """Make the network of a trial at its start, whose layers all ranks compute."""
    return SharedModel(graft(context, pools, head), context.backbone, ranks)
