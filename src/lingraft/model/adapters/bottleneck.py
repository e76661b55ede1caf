"""Bottleneck adapters (Houlsby et al., 2019): down, non-linearity, up, added to the states.

Each layer has a task part that all languages share and a language part per target language; the
source language, and a language never trained for, use the task part alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from ...backbones import LayerStack
from ...core.amounts import Share, WidthOrNone
from . import Adapter, Build, adapters


@adapters.register("bottleneck")
def bottleneck(
    *,
    width: WidthOrNone = 32,
    language_width: WidthOrNone = 16,
    dropout: Share = 0.1,
) -> Build:
    """Residual two-layer bottleneck after each block above the cut; starts as the identity."""

    def build(stack: LayerStack, layers: range, languages: Iterable[str]) -> Adapter:
        return BottleneckAdapters(
            stack.width, layers, languages, width=width, language_width=language_width, dropout=dropout
        )

    return build


class BottleneckAdapters(Adapter):
    """The bottlenecks of all layers: ``task.LAYER`` and ``language.CODE.LAYER``."""

    def __init__(
        self,
        hidden_width: int,
        layers: range,
        languages: Iterable[str],
        *,
        width: int,
        language_width: int,
        dropout: float,
    ) -> None:
        super().__init__()

        def per_layer(inner: int) -> nn.ModuleDict:
            return nn.ModuleDict({str(layer): Bottleneck(hidden_width, inner, dropout) for layer in layers})

        self.task = per_layer(width) if width else nn.ModuleDict()
        self.language = nn.ModuleDict({code: per_layer(language_width) for code in languages if language_width})

    def forward(self, layer: int, language: str, hidden: Tensor) -> Tensor:
        """Add the parts' corrections to ``hidden [B, T, H]``."""
        parts = [self.task]
        if language in self.language:
            parts.append(self.language[language])  # type: ignore[arg-type]
        corrections = [part[str(layer)](hidden) for part in parts if str(layer) in part]
        for correction in corrections:
            hidden = hidden + correction
        return hidden


class Bottleneck(nn.Module):
    """``up(gelu(down(x)))``, zero at initialisation."""

    def __init__(self, hidden_width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.down = nn.Linear(hidden_width, inner)
        self.up = nn.Linear(inner, hidden_width)
        self.dropout = dropout
        nn.init.normal_(self.down.weight, std=hidden_width**-0.5)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Adapt ``[B, T, H]``: the same shape."""
        # Dropout on the narrow side: a twelfth of the random numbers that the wide side would cost.
        inner = F.dropout(F.gelu(self.down(hidden)), self.dropout, self.training)
        correction: Tensor = self.up(inner)
        return correction
