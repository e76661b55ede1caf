"""Linear layers whose matrices take less than 32 bit, and that compute in 32.

A checkpoint that is stored in float16 or bfloat16 holds no more than its 16 bits, so keeping its matrices as they are
takes half the memory and changes no number: a matrix is widened for the product that needs it, and again on the way
back, rather than kept wide for the gradients. :mod:`lingraft.backbones.quantised` goes on to 8 and 4 bit the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .mapped import NARROW


class NarrowLinear(nn.Linear):
    """A linear layer with a matrix of 16 bit, which has no gradient; what takes its place may be wide and have one."""

    widens = True

    def forward(self, input: Tensor) -> Tensor:
        """Compute ``input [..., inputs]`` times the matrix, in the precision of ``input`` or of autocast."""
        if self.weight.dtype == input.dtype or torch.is_autocast_enabled(input.device.type):
            return super().forward(input)
        return widened_product(input, self.bias, _widen, self.weight)


def _widen(dtype: torch.dtype, weight: Tensor) -> Tensor:
    return weight.to(dtype)


def widened_product(given: Tensor, bias: Tensor | None, widen: Callable[..., Tensor], *kept: Tensor) -> Tensor:
    """Return ``F.linear`` with a matrix that is widened twice, for the product and for its gradient, and not kept wide.

    Args:
        given: ``[..., inputs]``.
        bias: ``[outputs]``.
        widen: Makes the matrix, ``[outputs, inputs]``, of a dtype and ``kept``.
        kept: What the matrix is made of, which gets no gradient.
    """
    if not torch.is_grad_enabled() or torch.compiler.is_exporting():
        return F.linear(given, widen(given.dtype, *kept), bias)
    product: Tensor = _Product.apply(given, bias, widen, *kept)  # type: ignore[no-untyped-call]
    return product


class _Product(torch.autograd.Function):
    """What :func:`widened_product` says."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, bias: Tensor | None, widen: Callable[..., Tensor], *kept: Tensor) -> Tensor:
        ctx.save_for_backward(*kept)
        ctx.widen = widen
        return F.linear(given, widen(given.dtype, *kept), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), kept = gradients, ctx.saved_tensors
        of_input, of_bias, *_ = ctx.needs_input_grad
        return (
            gradient @ ctx.widen(gradient.dtype, *kept) if of_input else None,
            gradient.flatten(0, -2).sum(0) if of_bias else None,
            None,
            *(None for _ in kept),
        )


def keep_narrow(model: nn.Module) -> None:
    """Let linear layers of a model that is in 16 bit keep their matrices so."""
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.dtype in NARROW:
            module.__class__ = NarrowLinear
