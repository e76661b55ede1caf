"""Rotary positions: pairs of numbers of a head turned by an angle that grows with the position (Su et al., 2021).

The angles are Hugging Face's own (bases, scaling for long texts); they depend on the length alone, so
the last table of each kind is kept. Only the distance of two positions matters to attention.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

Rotation: TypeAlias = tuple[Tensor, Tensor]
"""Cosines and sines, each ``[1, T, d]``, in float32."""


TABLE_STEP = 64
"""Tables for texts that go on token by token grow by so many positions."""


class Rotary(nn.Module):
    """Tables of a Hugging Face model's rotary module, made once for each length and kind of layer."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self._kept: dict[str | None, tuple[tuple[object, ...], Rotation]] = {}

    def tables(self, length: int, device: torch.device, kind: str | None = None) -> Rotation:
        """Return cosines and sines of positions 0 to ``length - 1``; a family may have several kinds of layers."""
        if torch.compiler.is_exporting():  # a graph serves any length
            return self._compute(length, device, kind)
        key = (length, device)
        known = self._kept.get(kind)
        if known is None or known[0] != key:
            with torch.inference_mode(False):  # a table made while encoding must still serve training
                known = self._kept[kind] = key, self._compute(length, device, kind)
        return known[1]

    def _compute(self, length: int, device: torch.device, kind: str | None) -> Rotation:
        positions = torch.arange(length, device=device)[None, :]
        like = torch.empty(0, device=device)  # tells dtype and device
        found: Rotation = self.module(like, positions, *([] if kind is None else [kind]))
        return found

    def turn(self, states: Tensor, at: int | Tensor = 0, kind: str | None = None) -> Tensor:
        """Turn queries or keys.

        Args:
            states: ``[..., T, d]`` or, where each text has its own positions, ``[B, heads, T, d]``.
            at: The first of ``T`` positions that follow each other, or those of each text, ``[B, T]``.
            kind: Of the layer, where a family has several.
        """
        if isinstance(at, int):
            cosines, sines = (table[0, at:] for table in self.tables(at + states.shape[-2], states.device, kind))
        else:
            length = -(-(int(at.max()) + 1) // TABLE_STEP) * TABLE_STEP  # one table for many tokens that follow
            cosines, sines = (table[0, at][:, None] for table in self.tables(length, states.device, kind))
        half = states.shape[-1] // 2
        quarter_turned = torch.cat([-states[..., half:], states[..., :half]], dim=-1)
        return (states * cosines + quarter_turned * sines).to(states.dtype)
