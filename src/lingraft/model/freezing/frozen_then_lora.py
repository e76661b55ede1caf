"""Cache, then thaw: most epochs read cached states, the last ones adapt the layers below the cut as well."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...core.amounts import Factor, Width
from . import Phase, Strategy, WholeDepth, freezing


@freezing.register("frozen_then_lora")
def frozen_then_lora(
    *,
    share: Annotated[float, Field(gt=0, lt=1)] = 0.25,
    learning_rate_factor: Factor = 0.3,
    rank: Width = 8,
) -> Strategy:
    """Train the top on cached states; in the last epochs LoRA in all layers too, from the texts.

    Args:
        share: Of the epochs, that are the last ones; at least one is.
        learning_rate_factor: What the learning rates are multiplied with in these, whose optimiser starts anew.
        rank: Of the LoRA, which has twice as much for its `alpha`.
    """
    return Strategy(
        lambda num_layers: num_layers, lambda stack: (Phase(),), WholeDepth(share, learning_rate_factor, rank)
    )
