"""Which parameters of the backbone learn, and when; by default none ever does.

A strategy says below which layer nothing moves (so that states there can be cached) and which
parameters learn from which share of the steps on; and whether the last epochs adapt the whole depth.
What is unfrozen is trained as a copy: the backbone itself is never written to, whatever the strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ...backbones import LayerStack
from ...core.registry import Registry
from ...recipe.blocks import Block

freezing = Registry("lingraft.freezing", "lingraft.model.freezing")


@dataclass(frozen=True)
class Phase:
    """From ``start``, a share of all steps, these backbone parameters learn; the parts too unless ``head_only``."""

    start: float = 0.0
    parameters: frozenset[str] = frozenset()
    head_only: bool = False

    def trains(self, name: str) -> bool:
        """Return whether the adaptation's parameter ``name`` learns in this phase."""
        part, _, rest = name.partition(".")
        if part == "unfrozen":
            return rest.replace("/", ".") in self.parameters
        return part == "head" or not self.head_only


@dataclass(frozen=True)
class WholeDepth:
    """The last ``share`` of the epochs, in which LoRA of ``rank`` in all layers learns beside the parts.

    They are a training of their own: its optimiser starts anew, at ``learning_rate_factor`` times the learning rates.
    """

    share: float
    learning_rate_factor: float
    rank: int

    def epochs_of(self, epochs: int) -> int:
        """Return how many of all ``epochs`` they are: one at least, and not the first."""
        return min(max(1, round(self.share * epochs)), epochs - 1)

    @property
    def lora(self) -> Block:
        """What is added, as a recipe's block for an adapter."""
        return Block.model_validate({"name": "lora", "rank": self.rank, "alpha": 2.0 * self.rank})


@dataclass(frozen=True)
class Strategy:
    """What of the backbone learns.

    Attributes:
        highest_cut: Of the number of layers: the last layer at which states may be cached.
        phases: Of the stack: the schedule.
        whole_depth: How it ends, where it ends with what learns below the cut too.
        extracted: Block of the adapter that is kept of what has learnt, where it is not kept as it is.
    """

    highest_cut: Callable[[int], int]
    phases: Callable[[LayerStack], tuple[Phase, ...]]
    whole_depth: WholeDepth | None = None
    extracted: Block | None = None


def strategy_of(block: Block) -> Strategy:
    """Return the strategy that a recipe's block names."""
    strategy: Strategy = freezing.build(block.name, block.options)
    return strategy


def phase_at(phases: Collection[Phase], step: int, total: int) -> Phase:
    """Return the phase of a step: the last that has begun."""
    return max((phase for phase in phases if phase.start * total <= step), key=lambda phase: phase.start)


def unfrozen_names(phases: Collection[Phase]) -> frozenset[str]:
    """Return all backbone parameters that learn at some time."""
    return frozenset().union(*(phase.parameters for phase in phases))


def describe_phase(phase: Phase, parts: Collection[str], stack: LayerStack) -> list[str]:
    """Say what learns in a phase, for people: ``["head", "prompt", "layers 9-12"]``."""
    found = [
        part for part in ("head", "prompt", "adapter") if part in parts and (part == "head" or not phase.head_only)
    ]
    layers = sorted({int(name.split(".")[1]) for name in phase.parameters if name.startswith("layers.")})
    if layers:
        span = f"layers {layers[0] + 1}-{layers[-1] + 1}" if len(layers) > 1 else f"layer {layers[0] + 1}"
        found.append(_which(phase, of_layers(stack, stack.num_layers - layers[0]), stack) + span)
    if any(not name.startswith("layers.") for name in phase.parameters):
        found.append("embeddings")
    return found + (["LoRA in all layers"] if "lora" in parts and not phase.head_only else [])


def _which(phase: Phase, every: Collection[str], stack: LayerStack) -> str:
    """Say which of the parameters of some layers learn: all, matrices, or what is none."""
    if phase.parameters.issuperset(every):
        return ""
    matrices = all(stack.get_parameter(name).ndim > 1 for name in phase.parameters.intersection(every))
    return "matrices of " if matrices else "biases and norms of "


def of_layers(stack: LayerStack, count: int) -> frozenset[str]:
    """Return parameters of the uppermost ``count`` layers."""
    first = stack.num_layers - count
    names = (name for name, _ in stack.named_parameters() if name.startswith("layers."))
    return frozenset(name for name in names if int(name.split(".")[1]) >= first)
