"""The legs of a training: runs of its epochs, each with an order, an optimiser and learning rates of its own.

Most trainings are one leg. Where the freezing schedule ends with the whole depth, there is a second: its LoRA is in
all layers, so no cached states will do, and it reads token ids, as does all that comes after it. A leg begins with
the averaged parameters that the one before has left, and whatever a killed leg was about to do, it does again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..backbones import LayerStack
from ..backbones.quantised import rounded_to
from ..core.errors import ConfigError
from ..model.freezing import strategy_of, unfrozen_names
from ..recipe.blocks import Block
from ..recipe.settings import Recipe, TrainSettings
from .batches import half_of
from .pools import Context

RATES = ("learning_rate", "prompt_learning_rate", "backbone_learning_rate")


@dataclass(frozen=True)
class Leg:
    """Some epochs, with the settings that they are trained by; in the last leg ``lora`` may be added to all layers."""

    number: int
    settings: TrainSettings
    early_epochs: int
    """In how many of them early examples are learnt from: what of the first half of all epochs is in this leg."""
    lora: Block | None = None

    def seed(self, seed: int, member: int = 0) -> int:
        """Return the leg's own seed of a trial's, in a member: the first has the trial's, and no two have one order."""
        numbers = [self.number, member] if member else [self.number] if self.number else []
        return int(np.random.SeedSequence([seed, *numbers]).generate_state(1)[0]) if numbers else seed


def legs_of(recipe: Recipe) -> tuple[Leg, ...]:
    """Return the legs of a recipe's trainings; none where nothing is trained by gradient."""
    train, last = recipe.train, strategy_of(recipe.freezing).whole_depth
    epochs = train.num_train_epochs
    if last is None or epochs < 2:
        return (Leg(0, train, half_of(epochs)),) if epochs else ()
    count = last.epochs_of(epochs)
    first, early = epochs - count, half_of(epochs)
    rates = {name: last.learning_rate_factor * getattr(train, name) for name in RATES}
    return (
        Leg(0, train.model_copy(update={"num_train_epochs": first}), min(first, early)),
        Leg(1, train.model_copy(update={"num_train_epochs": count, **rates}), max(0, early - first), last.lora),
    )


def lora_of(recipe: Recipe) -> Block | None:
    """Return the LoRA that a training ends with in all layers; None where what lies below the cut stays frozen."""
    return next((leg.lora for leg in legs_of(recipe) if leg.lora is not None), None)


def extracted_of(recipe: Recipe) -> Block | None:
    """Return the adapter that is kept of what has learnt; None where it is kept as it is, or nothing learns."""
    return strategy_of(recipe.freezing).extracted if recipe.train.num_train_epochs else None


def unfrozen_of(recipe: Recipe, stack: LayerStack) -> frozenset[str]:
    """Return the names of the stack's parameters that learn at some time.

    Raises:
        ConfigError: Matrices among them are rounded to 8 or 4 bit, which no gradient can change.
    """
    names = unfrozen_names(strategy_of(recipe.freezing).phases(stack))
    if rounded_to(recipe.backbone.weights) and any(stack.get_parameter(name).ndim > 1 for name in names):
        raise ConfigError(
            [
                f"freezing.name: {recipe.freezing.name} trains matrices, and backbone.weights: "
                f"{recipe.backbone.weights} leaves them rounded; choose frozen with adapter.name: lora, or weights: "
                "float32"
            ]
        )
    return names


def as_trained(context: Context) -> Context:
    """Return what a trained network reads: token ids where it has LoRA in all layers."""
    return context if lora_of(context.recipe) is None else context.from_ids()
