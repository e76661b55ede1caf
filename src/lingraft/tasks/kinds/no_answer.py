"""When to say that a context does not answer a question: a threshold chosen on development data.

The score of "no answer" is that of a token outside of the context, the lowest over all windows of the context; how
much it must outweigh the best piece is the threshold, as in the published evaluation of SQuAD v2 (Rajpurkar et al.,
2018).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from ...core.examples import Example
from ...core.records import Features, Prediction
from ...results.metrics import Metric


def choose_no_answer(
    examples: Sequence[Example],
    features: Sequence[Features],
    logits: Sequence[Tensor],
    *,
    decode: Callable[[Sequence[Example], Sequence[Features], Sequence[Tensor]], Sequence[Prediction]],
    top_score: Callable[[Features, Tensor], float],
    f1: Metric,
) -> float:
    """Return how much "no answer" must outweigh the best piece for the best F1 of some questions.

    Args:
        examples: ``N`` questions of known answers, in order.
        features: All rows of the examples, one example after the other.
        logits: Of each row, without a threshold.
        decode: Gives the best piece of each question.
        top_score: Gives the score of the best piece of a row.
        f1: A mean over questions.
    """
    best: list[float] = []
    for feature, scores in zip(features, logits, strict=True):
        top = top_score(feature, scores)
        if feature.part == 0:
            best.append(top)
        else:
            best[-1] = max(best[-1], top)
    margins = [null - top for null, top in zip(null_scores(features, logits), best, strict=True)]
    pieces = [prediction.value for prediction in decode(examples, features, logits)]
    known = [i for i, margin in enumerate(margins) if np.isfinite(margin)]
    return best_threshold(
        [margins[i] for i in known],
        [f1.counts(examples[i].gold, "")[0] for i in known],
        [f1.counts(examples[i].gold, pieces[i])[0] for i in known],
    )


def null_scores(features: Sequence[Features], logits: Sequence[Tensor]) -> list[float]:
    """Return the score of "no answer" of each question: of its windows the lowest.

    Args:
        features: All rows, one question after the other.
        logits: Of each row, ``[T, 2]``.
    """
    scores: list[float] = []
    for feature, row in zip(features, logits, strict=True):
        score = float(row[feature.nothing].double().sum())
        if feature.part == 0:
            scores.append(score)
        else:
            scores[-1] = min(scores[-1], score)
    return scores


def best_threshold(margins: Sequence[float], of_nothing: Sequence[float], of_piece: Sequence[float]) -> float:
    """Return the threshold that scores best; of several ranges the one nearest to 0.

    Args:
        margins: How much "no answer" outweighs the best piece, for each of ``N`` questions; above the threshold it is
            said.
        of_nothing: Score of each question where it is said.
        of_piece: Score of each question where the best piece is given.

    Returns:
        The middle between two neighbouring margins, 0 where that is as good, or one beyond all of them.
    """
    order = np.argsort(np.asarray(margins, dtype=np.float64), kind="stable")
    sorted_margins = np.asarray(margins, dtype=np.float64)[order]
    # With the threshold before place i, the first i questions are given a piece.
    piece = np.concatenate([[0.0], np.cumsum(np.asarray(of_piece, dtype=np.float64)[order])])
    nothing = np.concatenate([[0.0], np.cumsum(np.asarray(of_nothing, dtype=np.float64)[order])])
    totals = piece + nothing[-1] - nothing
    bounds = np.concatenate([[-np.inf], sorted_margins, [np.inf]])
    usable = bounds[:-1] < bounds[1:]  # equal margins are on one side
    best = totals[usable].max()
    ranges = [(bounds[i], bounds[i + 1]) for i in np.flatnonzero(usable) if totals[i] >= best - 1e-9]
    return min((between(low, high) for low, high in ranges), key=abs)


def between(low: float, high: float) -> float:
    """Return a threshold between two neighbouring scores: 0 or their middle, or one beyond the only finite one."""
    if low <= 0 < high:  # a margin of 0 does not exceed the threshold 0
        return 0.0
    if np.isinf(low):
        return float(high) - 1.0
    if np.isinf(high):
        return float(low) + 1.0
    return float((low + high) / 2)
