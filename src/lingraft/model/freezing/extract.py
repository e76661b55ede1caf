"""Full tuning that is kept as LoRA: what low rank carries of it, in a small file that PEFT reads."""

from __future__ import annotations

from ...backbones import LayerStack
from ...core.amounts import Width
from ...recipe.blocks import Block
from ..adapters import linear_layers, parameter_name
from . import Phase, Strategy, freezing


@freezing.register("extract")
def extract(*, rank: Width = 16) -> Strategy:
    """Train the matrices of all layers, and keep of each difference a LoRA of this rank; needs `adapter: null`.

    What low rank does not carry stays frozen: biases, norms and embeddings. Last-layer retraining fits the head to
    what is kept.

    Args:
        rank: Of the LoRA.
    """

    def phases(stack: LayerStack) -> tuple[Phase, ...]:
        places = linear_layers(stack, range(stack.num_layers))
        return (Phase(0.0, frozenset(parameter_name(*place) for place in places)),)

    lora = Block.model_validate({"name": "lora", "rank": rank, "alpha": float(rank), "decoder": False})
    return Strategy(lambda num_layers: 0, phases, extracted=lora)
