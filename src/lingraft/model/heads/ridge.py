"""The linear head of numbers in closed form: ridge regression, whose strength has the least leave-one-out error."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from ...core.threads import one_thread
from ..kernel_ridge import STRENGTHS
from ..standardiser import Standardiser
from .linear import Labelled, LinearHead

FEWEST = 3
"""Of fewer numbers no slope predicts the one that is left out, and the strongest regularisation is taken."""


def fit_ridge_head(
    train: Labelled, *, standardiser: Standardiser, strengths: Sequence[float] = tuple(STRENGTHS)
) -> LinearHead:
    """Fit a head with one output, with the strength that predicts each example best by a fit without it.

    Args:
        train: ``N`` labelled examples, those of target languages included, with a number each.
        standardiser: Centres and scales the states.
        strengths: Values of λ to choose from, as multiples of the mean squared length of a standardised state.

    Returns:
        The head; its ``dev_score`` is minus the mean squared leave-one-out error, NaN where there is none.
    """
    from sklearn.linear_model import Ridge, RidgeCV

    states = ((train.pooled - standardiser.mean) / standardiser.scale).double().numpy()
    size = float((states**2).sum(1).mean()) or 1.0
    found, few = RidgeCV(size * np.asarray(strengths)), len(train.targets) < FEWEST
    if few:
        found = Ridge(size * max(strengths))
    with one_thread():
        found.fit(states, np.asarray(train.targets, dtype=np.float64), sample_weight=train.counts)
    weight = torch.tensor(found.coef_).float()[None] / standardiser.scale.item()  # [1, H]
    bias = torch.tensor([found.intercept_]).float() - weight @ standardiser.mean
    strength, score = (max(strengths), math.nan) if few else (float(found.alpha_) / size, float(found.best_score_))
    return LinearHead(weight, bias, float(strength), score)
