"""Residual prompts: deep prompts whose rows pass through a small network (Razdaibiedina et al., 2023).

A row is used as ``row + up(relu(down(row)))``. One network serves all layers and languages, so what
one row learns moves the others, which makes training less sensitive to its learning rate. The
authors normalise the network's output; we start it at zero instead, where a norm would have no
direction to keep, so that training starts from the same rows as ``deep``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.amounts import TokensOrNone, Width
from . import Build, Init, prompts
from .deep import PromptRows
from .split import Make, with_rows


@prompts.register("reparameterised")
def reparameterised(
    *,
    length: TokensOrNone = 16,
    language_length: TokensOrNone = 8,
    hidden: Width = 64,
    init: Init = "states",
    text: str | None = None,
) -> Build:
    """Deep prompts plus what one small network, shared by all rows, makes of them; starts equal to `deep`.

    Args:
        length: Virtual tokens that all languages share, ``P``.
        language_length: Virtual tokens of each language's own, ``P'``.
        hidden: Width of the small network.
        init: What they start from.
        text: The text, with ``init: text``.
    """
    return with_rows(
        lambda stack: partial(ResidualRows, width=stack.width, hidden=hidden),
        length=length,
        language_length=language_length,
        init=init,
        text=text,
    )


class ResidualRows(PromptRows):
    """Rows as in :class:`PromptRows`, and the network they share: ``down`` and ``up``."""

    def __init__(
        self,
        layers: range,
        languages: Iterable[str],
        task: Make | None,
        language: Make | None,
        *,
        width: int,
        hidden: int,
    ) -> None:
        super().__init__(layers, languages, task, language, carried=False)
        if task or language:
            self.down = nn.Linear(width, hidden)
            self.up = nn.Linear(hidden, width)
            nn.init.zeros_(self.up.weight)
            nn.init.zeros_(self.up.bias)

    def forward(self, layer: int, language: str) -> Tensor | None:
        """Return rows for the input of block ``layer``: ``[P + P', H]``, or None where there are none."""
        rows = [part + self.up(F.relu(self.down(part))) for part in self.parts(layer, language)]
        return torch.cat(rows) if rows else None
