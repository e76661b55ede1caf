"""Model, texts, language: logits, predictions, scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .encode import Encoded, length_batches
from .model import Network
from .records import Score
from .run_folder import Unit
from .statistics import bootstrap_metric_interval
from .tasks import Task

TOKENS_PER_BATCH = 4096


def predict_states(model: Network, encoded: Encoded, ids: Sequence[str], language: str) -> tuple[Tensor, Tensor]:
    """Logits ``[N, C]`` and pooled states ``[N, H]`` of cached texts, in the order of ``ids``."""
    device = model.adaptation.head.weight.device
    rows = [encoded.row[i] for i in ids]
    lengths = encoded.lengths
    logits = torch.empty(len(rows), model.adaptation.head.out_features)
    pooled = torch.empty(len(rows), model.stack.width)
    model.eval()
    with torch.no_grad():
        for batch in length_batches([lengths[row] for row in rows], TOKENS_PER_BATCH):
            states = encoded.table.batch([rows[i] for i in batch])
            final, out = model(states.to(device), language)
            logits[batch], pooled[batch] = out.float().cpu(), final.pooled().float().cpu()
    return logits, pooled


def score(
    gold: Sequence[str],
    predicted: Sequence[str],
    task: Task,
    groups: Sequence[str],
    *,
    method: str,
    language: str,
    unit: Unit,
    run: str,
) -> list[Score]:
    """One :class:`Score` per metric of the task, with its bootstrap interval over groups of examples."""
    scores = []
    for name, metric in task.metrics.items():
        low, high = bootstrap_metric_interval(gold, [predicted], name, groups, labels=task.labels)
        scores.append(
            Score(
                task=task.name,
                method=method,
                language=language,
                metric=name,
                value=metric(gold, predicted),
                n=len(gold),
                shots=unit.k,
                draw=unit.draw,
                seed=unit.seed,
                run=run,
                low=low,
                high=high,
            )
        )
    return scores
