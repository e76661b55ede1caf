"""The linear head of several labels for each text in closed form: a logistic regression for each label.

One strength and one temperature serve all labels, both chosen on the source language's development set: few texts have
a given label, and what a label's own were chosen by would be these.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ...core.threads import one_thread
from ..standardiser import Standardiser
from .linear import STRENGTHS, Labelled, LinearHead, best_temperature


def fit_label_heads(
    train: Labelled,
    dev: Labelled,
    *,
    standardiser: Standardiser,
    choose_threshold: Callable[[Sequence[Tensor]], float],
    strengths: Sequence[float] = STRENGTHS,
) -> LinearHead:
    """Fit on ``train``, choosing strength, temperature and threshold on ``dev``.

    Args:
        train: Labelled examples, those of target languages included, with a 0 or 1 for each of ``L`` labels.
        dev: The source language's development set.
        standardiser: Centres and scales the states, so that a strength means the same for any backbone.
        choose_threshold: Log-odds of the development set, ``[L + 1]`` each with a threshold of 0, to the threshold.
        strengths: Values of scikit-learn's ``C`` to choose from, by the mean binary log-loss.

    Returns:
        The head; its ``dev_score`` is the share of yes and no that are right with the threshold.
    """
    features, dev_features = (((one.pooled - standardiser.mean) / standardiser.scale).float() for one in (train, dev))
    wanted, dev_wanted = (torch.tensor(one.targets).float() for one in (train, dev))
    fitted = []
    for strength in strengths:
        columns = [_fit_label(features, column, train.counts, strength) for column in wanted.T]
        weight, bias = (torch.stack(side) for side in zip(*columns, strict=True))
        loss = nn.functional.binary_cross_entropy_with_logits(dev_features @ weight.T + bias, dev_wanted)
        fitted.append((loss.item(), strength, weight, bias))
    _, strength, weight, bias = min(fitted, key=lambda found: found[:2])
    log_odds = (dev_features @ weight.T + bias).flatten()  # of each label a choice between two classes
    temperature = best_temperature(torch.stack([-log_odds / 2, log_odds / 2], -1), dev_wanted.flatten().long())
    weight, bias = weight / (temperature * standardiser.scale.item()), bias / temperature
    head = LinearHead(weight, bias - weight @ standardiser.mean, strength, 0.0, threshold=0.0)
    head = replace(head, threshold=choose_threshold(list(head.logits(dev.pooled))))
    logits = head.logits(dev.pooled)
    given = logits[:, :-1] > logits[:, -1:]
    return replace(head, dev_score=(given == dev_wanted.bool()).float().mean().item())


def _fit_label(features: Tensor, wanted: Tensor, counts: Sequence[float], strength: float) -> tuple[Tensor, Tensor]:
    """Return weights ``[H]`` and bias of one label; where all texts are alike in it, its smoothed log-odds alone."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    weights = np.asarray(counts)
    if (wanted == wanted[0]).all():
        yes, every = float(weights[wanted.numpy() == 1].sum()), float(weights.sum())
        return torch.zeros(features.shape[1]), torch.tensor(math.log(yes + 0.5) - math.log(every - yes + 0.5))
    model = LogisticRegression(C=strength, max_iter=2000)
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features.numpy(), wanted.numpy(), sample_weight=weights)
    return torch.tensor(model.coef_[0]).float(), torch.tensor(model.intercept_[0]).float()
