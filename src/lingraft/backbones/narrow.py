"""Linear layers whose matrices stay in 16 bit, and that compute in 32.

A checkpoint that is stored in float16 or bfloat16 holds no more than its 16 bits, so keeping its matrices as they are
takes half the memory and changes no number: a matrix is widened for the product that needs it, and again on the way
back, rather than kept wide for the gradients.
"""

from __future__ import annotations

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
        if not torch.is_grad_enabled() or torch.compiler.is_exporting():
            return F.linear(input, self.weight.to(input.dtype), self.bias)
        product: Tensor = _Product.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return product


class _Product(torch.autograd.Function):
    """``F.linear`` with a matrix that is widened twice instead of being kept wide."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return F.linear(given, weight.to(given.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        (gradient,), (weight,) = gradients, ctx.saved_tensors
        of_input, _, of_bias = ctx.needs_input_grad
        return (
            gradient @ weight.to(gradient.dtype) if of_input else None,
            None,
            gradient.flatten(0, -2).sum(0) if of_bias else None,
        )


def keep_narrow(model: nn.Module) -> None:
    """Let linear layers of a model that is in 16 bit keep their matrices so."""
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.dtype in NARROW:
            module.__class__ = NarrowLinear
