"""Boosted trees as tensors: against scikit-learn's own, and broken ones refused."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import GradientBoostingClassifier

from lingraft.model.comparison.trees import DEPTH, FEATURES, RATE, SAMPLE, TREES, BoostedTrees, fit_trees


def examples(classes, count=120, seed=0):
    """Features of which two decide the class, and a weight each."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 5)).astype(np.float32)
    targets = np.digitize(rows[:, 0] + rows[:, 1] ** 2, np.linspace(0.3, 1.5, classes - 1))
    return rows, targets.tolist(), rng.uniform(0.2, 1, count).tolist()


def theirs(classes):
    """Scikit-learn's classifier on the same examples."""
    rows, targets, weights = examples(classes)
    return GradientBoostingClassifier(
        n_estimators=TREES, max_depth=DEPTH, learning_rate=RATE, subsample=SAMPLE, max_features=FEATURES, random_state=0
    ).fit(rows, targets, sample_weight=weights)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_probabilities_are_those_of_scikit_learn(classes):
    """On texts that were not learnt from."""
    trees, rows = fit_trees(*examples(classes)), examples(classes, seed=1)[0]
    ours = trees(torch.tensor(rows)).softmax(1)
    np.testing.assert_allclose(ours.detach().numpy(), theirs(classes).predict_proba(rows), atol=1e-5)


def test_what_was_saved_computes_the_same():
    """From its tensors alone."""
    trees, rows = fit_trees(*examples(3)), torch.tensor(examples(3, seed=1)[0])
    assert torch.equal(BoostedTrees(trees.state_dict())(rows), trees(rows))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("left", lambda tensor: tensor + 10_000),
        ("right", lambda tensor: tensor - 1),
        ("output", lambda tensor: tensor + 1),
        ("feature", lambda tensor: tensor - 1),
        ("threshold", lambda tensor: tensor[:, :-1]),
        ("value", lambda tensor: tensor[:-1]),
        ("left", lambda tensor: tensor.double()),
        ("baseline", lambda tensor: tensor.unsqueeze(0)),
    ],
)
def test_broken_trees_are_refused(name, change):
    """Before anything is computed of them."""
    tensors = dict(fit_trees(*examples(2)).state_dict())
    with pytest.raises(ValueError, match="trees"):
        BoostedTrees(tensors | {name: change(tensors[name])})


def test_no_trees_are_refused():
    """An empty file of them is not whole."""
    tensors = {name: tensor[:0] for name, tensor in fit_trees(*examples(2)).state_dict().items()}
    with pytest.raises(ValueError, match="trees"):
        BoostedTrees(tensors)
