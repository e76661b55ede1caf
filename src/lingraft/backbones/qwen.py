"""Qwen 2 and Qwen 3: Llama's block, in Qwen 3 with norms on queries and keys, and windows where a layer asks for one.

Yang et al., 2024 and 2025.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from . import Family, backbones
from .llama import MistralStack


class Qwen2Stack(MistralStack):
    """The decoder of a ``Qwen2Model``, whose projections have biases."""

    facts = replace(MistralStack.facts, configuration=(*MistralStack.facts.configuration, "layer_types"))


class Qwen3Stack(Qwen2Stack):
    """The decoder of a ``Qwen3Model``."""

    def project(self, i: int, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project the normalised states, and normalise the queries and keys of each head."""
        query, key, value = super().project(i, hidden)
        attention: Any = self.layers[i].self_attn
        return attention.q_norm(query), attention.k_norm(key), value


@backbones.register("qwen2")
def qwen2() -> Family:
    """Qwen 2 and 2.5, with biases on queries, keys and values."""
    return Qwen2Stack


@backbones.register("qwen3")
def qwen3() -> Family:
    """Qwen 3, with norms on queries and keys."""
    return Qwen3Stack
