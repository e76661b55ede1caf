"""Linear layers whose matrices are rounded to 8 or 4 bit, and that compute with what is left of them.

A quarter or an eighth of the memory, for models that would not fit otherwise. The codes are those of bitsandbytes: a
whole number and a scale for each row (LLM.int8: Dettmers et al., 2022), or sixteen quantiles of a normal distribution
and a scale for each 64 numbers (NF4 of QLoRA: Dettmers et al., 2023). Matrices alone are rounded, on the processor and
once, so a text's states depend neither on the batch nor on the device, and can be cached. Such a backbone is another
one than that in 32 bit, with a digest of its own.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from ..core.errors import CheckpointError, ConfigError
from .narrow import NarrowLinear, widened_product
from .silence import silence_bitsandbytes

Bits: TypeAlias = Literal["8bit", "4bit"]

Weights: TypeAlias = Literal["float32", "stored"] | Bits
"""What a backbone's matrices are kept in."""


def rounded_to(weights: Weights) -> Bits | None:
    """Return the bits that matrices are rounded to, or None where they keep their numbers."""
    return weights if weights == "8bit" or weights == "4bit" else None


NORMAL_FLOAT = "nf4"

BLOCK = 64
"""Numbers that share a scale in 4 bit."""

MISSING = "backbone.weights: 8bit and 4bit need bitsandbytes: pip install 'lingraft[quantised]'"


class QuantisedLinear(nn.Linear):
    """A linear layer that keeps codes in the place of its matrix; a matrix that takes their place is used as it is.

    Attributes:
        weight: The codes: ``[outputs, inputs]`` in 8 bit, two numbers a byte in 4.
        scales: ``[outputs, 1]`` or ``[blocks, 1]``, float32.
    """

    scales: nn.Parameter

    def forward(self, input: Tensor) -> Tensor:
        """Compute ``input [..., inputs]`` times the matrix, in the precision of ``input`` or of autocast."""
        if self.weight.is_floating_point():  # something trained was merged into it
            return super().forward(input)
        kind = input.device.type
        if torch.is_autocast_enabled(kind):
            input = input.to(torch.get_autocast_dtype(kind))
        with torch.autocast(kind, enabled=False):
            bias = None if self.bias is None else self.bias.to(input.dtype)
            return widened_product(input, bias, self.widen, self.weight, self.scales)

    def matrix(self) -> Tensor:
        """Return the matrix that is computed with, ``[outputs, inputs]`` float32."""
        return self.weight if self.weight.is_floating_point() else self.widen(torch.float32, self.weight, self.scales)

    def widen(self, dtype: torch.dtype, codes: Tensor, scales: Tensor) -> Tensor:
        """Return the matrix that the codes stand for, ``[outputs, inputs]``."""
        if codes.dtype == torch.int8:
            wide: Tensor = _functional().int8_vectorwise_dequant(codes, scales.flatten()).to(dtype)
            return wide
        # By block: on processors bitsandbytes (0.50) takes the wrong scales for rows shorter than a block.
        size = self.out_features * self.in_features
        blocks = torch.Size((size // BLOCK, BLOCK) if size % BLOCK == 0 else (size,))
        state = _functional().QuantState(
            absmax=scales.flatten(), shape=blocks, blocksize=BLOCK, quant_type=NORMAL_FLOAT, dtype=dtype
        )
        found: Tensor = _functional().dequantize_4bit(codes, state)
        return found.view(self.out_features, self.in_features)


def refuse_without_quantiser() -> None:
    """Refuse 8 and 4 bit where bitsandbytes is not installed.

    Raises:
        ConfigError: It is not.
    """
    if find_spec("bitsandbytes") is None:
        raise ConfigError([MISSING])


def quantise(layers: nn.Module, bits: Bits) -> None:
    """Round the matrices of all linear layers in place, and let go of what they were.

    Raises:
        CheckpointError: A matrix has a value that is not finite.
    """
    for name, module in layers.named_modules():
        if type(module) not in (nn.Linear, NarrowLinear):
            continue
        matrix = module.weight.detach().float()
        if not bool(matrix.isfinite().all()):
            raise CheckpointError(f"layers.{name}.weight has values that are not finite; download the checkpoint again")
        codes, scales = _codes(matrix.contiguous(), bits)
        module.__class__ = QuantisedLinear
        quantised: Any = module
        quantised.weight = nn.Parameter(codes, requires_grad=False)
        quantised.scales = nn.Parameter(scales[:, None].clone(), requires_grad=False)


@cache
def _functional() -> Any:
    """Return bitsandbytes' functions."""
    silence_bitsandbytes()
    from bitsandbytes import functional

    return functional


def _codes(matrix: Tensor, bits: Bits) -> tuple[Tensor, Tensor]:
    """Return the codes of ``[outputs, inputs]`` and their scales."""
    if bits == "8bit":
        codes, scales, _ = _functional().int8_vectorwise_quant(matrix.half())
        return codes, scales.float()
    codes, state = _functional().quantize_4bit(matrix, blocksize=BLOCK, quant_type=NORMAL_FLOAT)
    return codes, state.absmax.float()
