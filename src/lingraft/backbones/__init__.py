"""The frozen part: a language model as a stack of layers that we walk ourselves.

One small file per family holds everything that is particular to Hugging Face's implementation of
it; a parity test compares each walk with the original forward pass. Register a family under its
``config.model_type``: the factory takes keyword-only options (so far none of ours has any) and
returns ``build``, which turns the loaded Hugging Face model into a :class:`LayerStack`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self, TypeAlias

import torch
from torch import Tensor, nn

from ..registry import Registry

MATTERS = (
    "model_type",
    "num_attention_heads",
    "hidden_act",
    "hidden_activation",
    "layer_norm_eps",
    "norm_eps",
    "pad_token_id",
    "rope_parameters",
    "layer_types",
    "local_attention",
    "relative_attention",
    "position_buckets",
    "max_relative_positions",
    "pos_att_type",
    "share_att_key",
    "norm_rel_ebd",
    "position_biased_input",
)
"""What the configuration of a checkpoint says beyond the shapes of its weights: part of its digest."""


class LayerStack(nn.Module, ABC):
    """``embed``, then ``block(0) … block(num_layers - 1)``, then ``finish``.

    "Layer n" means the states after n blocks. Padding is on the right. The stack holds the Hugging
    Face model's own sub-modules; a subclass picks them after calling this constructor.

    Args:
        model: The loaded Hugging Face model; its parameters are frozen here.
        num_layers: ``L``, how many blocks there are.
        width: ``H``.
        max_length: The longest text, in tokens, that the positions allow.
    """

    layers: nn.ModuleList

    def __init__(self, model: nn.Module, *, num_layers: int, width: int, max_length: int) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.width = width
        self.max_length = max_length
        self.padding_id: int = getattr(model.config, "pad_token_id", None) or 0
        self.configuration = {key: getattr(model.config, key) for key in MATTERS if hasattr(model.config, key)}
        model.requires_grad_(False).eval()
        self.training = False

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, whatever is asked.

        A model that holds the stack is put in train mode as a whole. Dropout below the cut would
        make cached states a lie, and above it costs a fifth of a training step on a CPU; what is
        trained is regularised where it is trained.
        """
        return super().train(False)

    @abstractmethod
    def embed(self, input_ids: Tensor) -> Tensor:
        """``[B, T]`` token ids to ``[B, T, H]`` states at layer 0."""

    @abstractmethod
    def block(self, i: int, hidden: Tensor, mask: Tensor, prompt_length: int = 0) -> Tensor:
        """States at layer ``i`` to states at layer ``i + 1``: ``[B, T, H]``.

        Args:
            i: Index of the block.
            hidden: ``[B, T, H]``.
            mask: ``[B, T]``, 1 for what may be attended to; of any dtype.
            prompt_length: How many of the first positions are virtual tokens. They are seen from
                everywhere, and see everything, also in layers that attend within a window.
        """

    def prompted_block(self, i: int, hidden: Tensor, mask: Tensor, rows: Tensor) -> Tensor:
        """``block`` with virtual tokens that serve this block only.

        Their own outputs are not wanted, so a family may spare itself computing them; this one, which
        any family inherits, computes and drops them.

        Args:
            i: Index of the block.
            hidden: ``[B, T, H]``, no virtual tokens.
            mask: ``[B, T]``.
            rows: ``[P, H]``, seen by every position.

        Returns:
            ``[B, T, H]``.
        """
        length = len(rows)
        tokens = torch.cat([rows.to(hidden.dtype).expand(len(hidden), -1, -1), hidden], dim=1)
        seen = torch.cat([mask.new_ones(len(mask), length), mask], dim=1)
        return self.block(i, tokens, seen, prompt_length=length)[:, length:]

    def finish(self, hidden: Tensor) -> Tensor:
        """What the family does after its last block (often nothing): ``[B, T, H]``."""
        return hidden


# Any: naming transformers' class here would cost its import on every look-up.
Builder: TypeAlias = Callable[[Any], LayerStack]

backbones = Registry("lingraft.backbones")


def visible(mask: Tensor) -> Tensor | None:
    """The mask as scaled-dot-product attention wants it, ``[B, 1, 1, T]``; ``None`` where nothing is padding.

    Without a mask attention takes its fastest path. On a GPU looking would make the host wait for
    the device, so there the mask is always kept.
    """
    keep = mask.bool()
    if keep.device.type == "cpu" and bool(keep.all()):
        return None
    return keep[:, None, None, :]
