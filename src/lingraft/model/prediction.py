"""Model, texts, language: logits, predictions, scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..backbones.encoding import Encoded
from ..backbones.walk import length_batches
from ..core.records import Example, Prediction
from ..tasks import Task
from .network import Network

TOKENS_PER_BATCH = 4096


def predict_rows(
    model: Network,
    encoded: Encoded,
    ids: Sequence[str],
    language: str,
    advance: Callable[[int], None] = lambda rows: None,
) -> tuple[list[Tensor], Tensor]:
    """Logits of all rows of some examples, and the rows' pooled states ``[R, H]``, in the order of ``ids``.

    ``advance`` is called with the number of rows that were just read.

    Returns:
        For each row ``[C]``, or ``[T, C]`` of its real tokens where the head reads tokens; and the pooled states.
    """
    device = next(model.adaptation.head.parameters()).device
    rows = [row for i in ids for row in encoded.rows[i]]
    every = encoded.lengths
    lengths = [every[row] for row in rows]
    logits: list[Any] = [None] * len(rows)
    pooled = torch.empty(len(rows), model.stack.width)
    model.eval()
    with torch.no_grad():
        for batch in length_batches(lengths, TOKENS_PER_BATCH):
            states = encoded.table.batch([rows[i] for i in batch])
            final, out = model(states.to(device), language)
            pooled[batch] = final.pooled().float().cpu()
            for i, row in zip(batch, out.float().cpu(), strict=True):
                logits[i] = row[: lengths[i]].clone() if row.dim() > 1 else row
            advance(len(batch))
    return logits, pooled


def predictions_of(
    logits: Sequence[Tensor], examples: Sequence[Example], encoded: Encoded, task: Task
) -> list[Prediction]:
    """What the logits of all rows of ``examples`` say."""
    features = [encoded.features[row] for example in examples for row in encoded.rows[example.id]]
    return task.kind.decode(examples, features, logits)
