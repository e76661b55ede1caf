"""The frozen part: a language model as a stack of layers that we walk ourselves.

One small file per family holds everything that is particular to Hugging Face's implementation of
it; a parity test compares each walk with the original forward pass. Register a family under its
``config.model_type``: the factory takes the loaded Hugging Face model and returns a
:class:`LayerStack`.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ..registry import Registry


class LayerStack(Protocol):
    """``embed``, then ``block(0) … block(num_layers - 1)``, then ``finish``.

    "Layer n" means the states after n blocks.
    """

    num_layers: int
    width: int

    def embed(self, input_ids: Tensor) -> Tensor:
        """``[B, T]`` token ids to ``[B, T, H]`` states at layer 0."""
        ...

    def block(self, i: int, hidden: Tensor, mask: Tensor, prompt_length: int = 0) -> Tensor:
        """States at layer ``i`` to states at layer ``i + 1``.

        Args:
            i: Index of the block.
            hidden: ``[B, T, H]``.
            mask: ``[B, T]``, 1 for what may be attended to.
            prompt_length: How many of the first positions are virtual tokens. They are seen from
                everywhere, also in layers that attend within a window.
        """
        ...

    def finish(self, hidden: Tensor) -> Tensor:
        """What the family does after its last block (often nothing): ``[B, T, H]``."""
        ...


backbones = Registry("lingraft.backbones")
