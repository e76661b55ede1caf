"""From states of texts to logits, pooled states and predictions, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from ..backbones.encoding import Encoded
from ..backbones.walk import length_batches
from ..core.examples import Example
from ..core.records import Prediction, States
from ..tasks import Task
from .generation import is_generated, write_answers
from .network import GraftedModel, Network

TOKENS_PER_BATCH = 4096

Compute = Callable[[list[int]], tuple[States, Tensor | None]]
"""Rows of a batch to their final states, and logits where these are wanted."""


def predict_in_batches(
    lengths: Sequence[int],
    compute: Compute,
    *,
    width: int,
    tokens: int = TOKENS_PER_BATCH,
    advance: Callable[[int], None] = lambda rows: None,
) -> tuple[list[Tensor], Tensor]:
    """Compute rows in batches of similar length, without gradient: the one loop that predicts.

    Args:
        lengths: Tokens of each of ``R`` rows.
        compute: Called with the rows of each batch.
        width: ``H``.
        tokens: Padded tokens of a batch at most.
        advance: Called with the number of rows that were just computed.

    Returns:
        On the CPU, in the order of the rows: logits of each, ``[C]``, or ``[T, C]`` of its real tokens (none where
        none were computed); and the pooled final states ``[R, H]``.
    """
    logits: list[Any] = [None] * len(lengths)
    pooled = torch.empty(len(lengths), width)
    with torch.no_grad():
        for batch in length_batches(lengths, tokens):
            final, out = compute(batch)
            pooled[batch] = final.pooled().float().cpu()
            for i, row in zip(batch, () if out is None else out.float().cpu(), strict=out is not None):
                logits[i] = row[: lengths[i]].clone() if row.dim() > 1 else row
            advance(len(batch))
    return [row for row in logits if row is not None], pooled


def predict_rows(
    model: Network,
    encoded: Encoded,
    ids: Sequence[str],
    language: str,
    advance: Callable[[int], None] = lambda rows: None,
) -> tuple[list[Tensor], Tensor]:
    """Predict all rows of some examples from their cached states, on the device of the model.

    Where nothing is learnt below a head that reads pooled states, the cached ones are those; nothing is computed again.
    What a decoder writes is written from the token ids of the prompts.

    Args:
        model: Put into eval mode.
        encoded: States at the cut.
        ids: Of the examples.
        language: Whose parts are used.
        advance: Called with the number of rows that were just read.

    Returns:
        As :func:`predict_in_batches`, in the order of ``ids``.
    """
    rows, every = [row for i in ids for row in encoded.rows[i]], encoded.lengths
    model.eval()
    if is_generated(model):
        return write_answers(cast(GraftedModel, model), [encoded.features[row] for row in rows], language, advance)
    device = next(model.adaptation.head.parameters()).device
    if model.adaptation.leaves_states:
        pooled = encoded.table.pooled_rows(rows)
        with torch.no_grad():
            logits = model.adaptation.head.read_pooled(pooled.to(device))
        if logits is not None:
            advance(len(rows))
            return list(logits.float().cpu()), pooled
    return predict_in_batches(
        [every[row] for row in rows],
        lambda batch: model(encoded.table.batch([rows[i] for i in batch]).to(device), language),
        width=model.stack.width,
        advance=advance,
    )


def adapted_states(
    model: GraftedModel, encoded: Encoded, ids: Sequence[str], language: str, *, adapters_enabled: bool
) -> Tensor:
    """Return pooled final states ``[N, H]`` of the first row of each example, with adapters enabled or disabled.

    Args:
        model: In eval mode.
        encoded: States at the cut.
        ids: Of the examples.
        language: Whose parts are used.
        adapters_enabled: As :meth:`GraftedModel.run_layers` takes it.
    """
    if adapters_enabled and model.adaptation.leaves_states:
        return encoded.pooled(ids)
    device = next(model.parameters()).device
    rows, every = [encoded.row[i] for i in ids], encoded.lengths

    def compute(batch: list[int]) -> tuple[States, None]:
        states = encoded.table.batch([rows[i] for i in batch]).to(device)
        return model.run_layers(states, language, adapters_enabled=adapters_enabled), None

    return predict_in_batches([every[row] for row in rows], compute, width=model.stack.width)[1]


def predictions_of(
    logits: Sequence[Tensor], examples: Sequence[Example], encoded: Encoded, task: Task
) -> list[Prediction]:
    """Decode the logits of all rows of ``examples``.

    Args:
        logits: Of each row, in order.
        examples: ``N``, in order.
        encoded: Where their rows are.
        task: Whose kind decodes.
    """
    features = [encoded.features[row] for example in examples for row in encoded.rows[example.id]]
    return task.kind.decode(examples, features, logits)
