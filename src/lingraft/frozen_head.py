"""A linear head on frozen states, fitted in closed form: the baseline, and the warm start.

Logistic regression on the mean states after the last layer; its strength is chosen by log-loss on
the source language's development set (accuracy on a hundred sentences is too coarse to choose by).
It is what anyone gets without adapting the model, so every run reports it as "before"; and
training starts from it, which spares the first epochs (Kumar et al., 2022).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import Tensor, nn

from .transfer import Frame

STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Values of scikit-learn's ``C`` that are tried."""


@dataclass(frozen=True)
class FrozenHead:
    """Weights ``[C, H]`` and bias ``[C]`` on raw pooled states, and how they were chosen."""

    weight: Tensor
    bias: Tensor
    strength: float
    dev_accuracy: float

    def logits(self, pooled: Tensor) -> Tensor:
        """``[N, H]`` to ``[N, C]``."""
        return pooled @ self.weight.T + self.bias

    def write_to(self, head: nn.Linear) -> None:
        """Make ``head`` this one: the warm start."""
        with torch.no_grad():
            head.weight.copy_(self.weight)
            head.bias.copy_(self.bias)


def fit_frozen_head(
    pooled: Tensor,
    targets: list[int],
    dev_pooled: Tensor,
    dev_targets: list[int],
    *,
    frame: Frame,
    classes: int,
    balanced: bool,
) -> FrozenHead:
    """Fit on ``pooled [N, H]``, choosing the strength on the development set.

    Args:
        pooled: Frozen states of the labelled examples, target shots included.
        targets: Their classes.
        dev_pooled: Frozen states of the source language's development set.
        dev_targets: Their classes.
        frame: Centres and scales the states, so that a strength means the same for any backbone.
        classes: ``C``.
        balanced: Weigh classes by inverse frequency.
    """
    features = ((pooled - frame.mean) / frame.scale).numpy()
    dev_features = ((dev_pooled - frame.mean) / frame.scale).numpy()
    fitted = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=2000, class_weight="balanced" if balanced else None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, targets)
        loss = log_loss(dev_targets, model.predict_proba(dev_features), labels=range(classes))
        fitted.append((loss, strength, model))
    _, strength, model = min(fitted, key=lambda found: found[:2])
    score = float(np.mean(model.predict(dev_features) == np.asarray(dev_targets)))
    weight, bias = _all_classes(model, classes)
    weight = weight / frame.scale.item()
    return FrozenHead(weight, bias - weight @ frame.mean, strength, score)


def _all_classes(model: LogisticRegression, classes: int) -> tuple[Tensor, Tensor]:
    """One row per class; scikit-learn keeps a single row for two classes."""
    weight, bias = torch.tensor(model.coef_).float(), torch.tensor(model.intercept_).float()
    if classes == 2:
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    return weight, bias
