"""Gradient-boosted trees (Friedman, 2001) as tensors: fitted by scikit-learn, saved and computed without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

TREES, DEPTH, RATE = 200, 3, 0.05
"""Of 80 to 200 trees and rates of 0.05 and 0.08 these were the best in cross-validation on English development pairs
of PAWS-X, from 400 as from 1,600; all were within a point."""

SAMPLE, FEATURES = 0.5, 0.3
"""Share of the examples that a tree sees, and of the features that a split does."""

Numbers = NDArray[Any]


class BoostedTrees(nn.Module):
    """Sums of small regression trees, as many for each class, to logits.

    All trees have ``M`` places. At a place ``[tree, place]`` the feature ``feature`` is compared with ``threshold``:
    what is not above it goes on at ``left``, the rest at ``right``; a leaf points to itself. ``output [trees]`` is the
    class that a tree speaks for; of two classes, all speak for the second.
    """

    baseline: Tensor
    output: Tensor
    feature: Tensor
    left: Tensor
    right: Tensor
    threshold: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, shape in SHAPES.items():
            tensor = tensors[name]
            if tensor.dim() != shape:
                raise ValueError(f"trees with {name} of shape {tuple(tensor.shape)}")
            if name != "value":
                self.register_buffer(name, tensor)
        self.value = nn.Parameter(tensors["value"])
        self._check()

    def _check(self) -> None:
        count, places = self.feature.shape
        same = (self.left, self.right, self.threshold, self.value)
        fit = all(tensor.shape == self.feature.shape for tensor in same) and len(self.output) == count
        if not fit or not count or not places:
            raise ValueError("trees whose parts have different shapes")
        for name, tensor, end in (
            ("left", self.left, places),
            ("right", self.right, places),
            ("output", self.output, len(self.baseline)),
        ):
            if tensor.dtype != torch.long or (len(tensor) and not 0 <= int(tensor.min()) <= int(tensor.max()) < end):
                raise ValueError(f"trees with a {name} that is not within 0 to {end - 1}")
        if self.feature.dtype != torch.long or int(self.feature.min()) < 0:
            raise ValueError("trees with a feature below 0")

    def forward(self, features: Tensor) -> Tensor:
        """Return logits ``[N, C]`` of features ``[N, F]``."""
        rows = features.to(self.baseline)
        trees = torch.arange(len(self.feature), device=rows.device)
        at = torch.zeros(len(rows), len(trees), dtype=torch.long, device=rows.device)
        for _ in range(DEPTH):
            above = rows.gather(1, self.feature[trees, at]) > self.threshold[trees, at]
            at = torch.where(above, self.right[trees, at], self.left[trees, at])
        values = self.value[trees, at]
        found = self.baseline.expand(len(rows), -1).index_add(1, self.output, values)
        if found.shape[1] == 1:
            found = torch.cat([-found / 2, found / 2], dim=1)
        return found.float()


SHAPES = {"baseline": 1, "output": 1, "feature": 2, "left": 2, "right": 2, "threshold": 2, "value": 2}
"""Dimensions of what trees are made of."""


def fit_trees(features: Numbers, targets: Sequence[int], weights: Sequence[float]) -> BoostedTrees:
    """Fit trees to examples; the same examples give the same trees.

    Args:
        features: ``[N, F]``.
        targets: Classes, each from 0 to C - 1 among them.
        weights: How much each example counts, ``N``.
    """
    from sklearn.ensemble import GradientBoostingClassifier

    rows = np.asarray(features, dtype=np.float32)
    fitted = GradientBoostingClassifier(
        n_estimators=TREES, max_depth=DEPTH, learning_rate=RATE, subsample=SAMPLE, max_features=FEATURES, random_state=0
    ).fit(rows, targets, sample_weight=weights)
    trees = [(output, one.tree_) for stage in fitted.estimators_ for output, one in enumerate(stage)]
    places = max(tree.node_count for _, tree in trees)
    found = BoostedTrees(
        {
            "baseline": torch.zeros(fitted.estimators_.shape[1], dtype=torch.double),
            "output": torch.tensor([output for output, _ in trees]),
            **_stacked([tree for _, tree in trees], places),
        }
    )
    # What scikit-learn begins with is what its decision has beside the trees.
    decision = np.atleast_2d(fitted.decision_function(rows[:1]).reshape(1, -1))
    with torch.no_grad():
        own = found(torch.tensor(rows[:1])).double().numpy()
    sums = own[:, 1:] - own[:, :1] if decision.shape[1] == 1 else own
    found.baseline.copy_(torch.tensor(decision - sums).squeeze(0))
    return found


def _stacked(trees: Sequence[Any], places: int) -> dict[str, Tensor]:
    """Return the arrays of scikit-learn's trees as tensors ``[trees, places]``, leaves pointing to themselves."""

    def padded(row: Numbers, fill: float) -> Numbers:
        return np.pad(row, (0, places - len(row)), constant_values=fill)

    def side(tree: Any, children: Numbers) -> Numbers:
        return np.where(children < 0, np.arange(tree.node_count), children)

    sides = {
        "left": [side(tree, tree.children_left) for tree in trees],
        "right": [side(tree, tree.children_right) for tree in trees],
    }
    return {
        "feature": torch.tensor(np.stack([padded(np.maximum(tree.feature, 0), 0) for tree in trees])).long(),
        "threshold": torch.tensor(np.stack([padded(tree.threshold, 0) for tree in trees])).double(),
        "value": torch.tensor(np.stack([padded(RATE * tree.value[:, 0, 0], 0) for tree in trees])).double(),
        **{name: torch.tensor(np.stack([padded(row, 0) for row in rows])).long() for name, rows in sides.items()},
    }
