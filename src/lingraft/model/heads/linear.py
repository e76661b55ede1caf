"""The linear head, trained by gradient or fitted by scikit-learn: the baseline, the warm start, the last step.

Logistic regression on the *frozen* states is what anyone gets without adapting the model, so every
run reports it as "before"; and training starts from it, which spares the first epochs (Kumar et
al., 2022). Its strength is chosen by log-loss on the source language's development set; accuracy on
a hundred sentences is too coarse to choose by.

Once the states are adapted a head is fitted to them again, with strong regularisation: it then leans
on the many directions in which the languages agree, not on the few that separate the training
sentences of one. A temperature chosen on the development set sets its confidence right (Guo et al.,
2017), which strong regularisation alone would leave too low.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...backbones import LayerStack
from ...core.records import States
from ...core.threads import one_thread
from ..standardiser import Standardiser
from . import BuildHead, Head, heads

if TYPE_CHECKING:  # importing it takes as long as a prediction, which does without
    from sklearn.linear_model import LogisticRegression

STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Values of scikit-learn's ``C`` that the frozen head tries."""


class LinearClassifier(nn.Linear, Head):
    """One linear layer on the mean of a text's states or, ``per_token``, on each of them."""

    def __init__(self, width: int, outputs: int, *, per_token: bool = False) -> None:
        super().__init__(width, outputs)
        self.per_token = per_token

    def read(self, final: States) -> Tensor:
        """Return logits ``[B, C]``, or ``[B, T, C]`` of each token."""
        logits: Tensor = self(final.tokens if self.per_token else final.pooled())
        return logits

    def read_pooled(self, pooled: Tensor) -> Tensor | None:
        """Return logits ``[B, C]`` of pooled states ``[B, H]``; None where each token is read."""
        return None if self.per_token else self(pooled)


@heads.register("linear")
def linear() -> BuildHead:
    """One linear layer on the mean of a text's states, or on each of them."""

    def build(stack: LayerStack, outputs: int, per_token: bool) -> LinearClassifier:
        return LinearClassifier(stack.width, outputs, per_token=per_token)

    return build


@dataclass(frozen=True)
class LinearHead:
    """Weights ``[C, H]`` and bias ``[C]`` on raw pooled states, and how they were chosen.

    Where labels are given above a ``threshold``, that is one more output.
    """

    weight: Tensor
    bias: Tensor
    strength: float
    dev_score: float
    threshold: float | None = None

    def logits(self, pooled: Tensor) -> Tensor:
        """Compute logits ``[N, C]`` of pooled states ``[N, H]``, or ``[N, C + 1]`` with the threshold."""
        found = pooled @ self.weight.T + self.bias
        return found if self.threshold is None else nn.functional.pad(found, (0, 1), value=self.threshold)

    def write_to(self, head: nn.Module) -> None:
        """Make ``head``, a linear layer, this one."""
        chosen = {} if self.threshold is None else {"threshold": torch.tensor(self.threshold)}
        head.load_state_dict({"weight": self.weight, "bias": self.bias, **chosen})


@dataclass(frozen=True)
class Labelled:
    """Pooled states ``[N, H]`` with their targets, and how much each counts; all alike without weights.

    A target is a class, a number, or a 0 or 1 for each label.
    """

    pooled: Tensor
    targets: Sequence[Any]
    weights: Sequence[float] = ()

    @property
    def counts(self) -> list[float]:
        """How much each counts."""
        return list(self.weights) or [1.0] * len(self.targets)


def join(parts: Sequence[Labelled]) -> Labelled:
    """Put several one after the other."""
    return Labelled(
        torch.cat([one.pooled for one in parts]),
        [target for one in parts for target in one.targets],
        [count for one in parts for count in one.counts],
    )


def select(labelled: Labelled, rows: Iterable[int]) -> Labelled:
    """Return some rows, in their order."""
    chosen, counts = [int(row) for row in rows], labelled.counts
    return Labelled(labelled.pooled[chosen], [labelled.targets[row] for row in chosen], [counts[row] for row in chosen])


def fit_head(
    train: Labelled,
    dev: Labelled,
    *,
    standardiser: Standardiser,
    classes: int,
    balanced: bool,
    strengths: Sequence[float] = STRENGTHS,
    calibrated: bool = False,
) -> LinearHead:
    """Fit on ``train``, choosing the strength by log-loss on ``dev``.

    Args:
        train: Labelled examples, those of target languages included.
        dev: The source language's development set.
        standardiser: Centres and scales the states, so that a strength means the same for any backbone.
        classes: ``C``.
        balanced: Weigh classes by inverse frequency.
        strengths: Values of scikit-learn's ``C`` to choose from.
        calibrated: Divide the logits by the temperature that is best on ``dev``.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    features = ((train.pooled - standardiser.mean) / standardiser.scale).numpy()
    dev_features = ((dev.pooled - standardiser.mean) / standardiser.scale).numpy()
    fitted = []
    for strength in strengths:
        model = LogisticRegression(C=strength, max_iter=2000, class_weight="balanced" if balanced else None)
        with warnings.catch_warnings(), one_thread():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, train.targets, sample_weight=train.counts)
        loss = log_loss(dev.targets, model.predict_proba(dev_features), labels=range(classes))
        fitted.append((loss, strength, model))
    _, strength, model = min(fitted, key=lambda found: found[:2])
    score = float(np.mean(model.predict(dev_features) == np.asarray(dev.targets)))
    weight, bias = _all_classes(model, classes)
    if calibrated:
        temperature = best_temperature(torch.from_numpy(dev_features) @ weight.T + bias, torch.tensor(dev.targets))
        weight, bias = weight / temperature, bias / temperature
    weight = weight / standardiser.scale.item()
    return LinearHead(weight, bias - weight @ standardiser.mean, strength, score)


def best_temperature(logits: Tensor, targets: Tensor) -> float:
    """Find the divisor of ``logits [N, C]`` that makes the classes ``targets [N]`` likeliest, within a factor of 20.

    The targets are smoothed by one example in ``N + 2`` (Platt, 1999): a few sentences that all come
    out right do not make the head certain of everything.
    """
    from scipy.optimize import minimize_scalar

    smoothing = 1 / (len(targets) + 2)

    def loss(log_temperature: float) -> float:
        return nn.functional.cross_entropy(logits / np.exp(log_temperature), targets, label_smoothing=smoothing).item()

    bound = np.log(20.0)
    return float(np.exp(minimize_scalar(loss, bounds=(-bound, bound), method="bounded").x))


def _all_classes(model: LogisticRegression, classes: int) -> tuple[Tensor, Tensor]:
    """Return one row per class; scikit-learn keeps a single row for two classes."""
    weight, bias = torch.tensor(model.coef_).float(), torch.tensor(model.intercept_).float()
    if classes == 2:
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    return weight, bias
