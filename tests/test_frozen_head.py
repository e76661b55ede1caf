"""The closed-form head, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import nn

from lingraft.frozen_head import STRENGTHS, fit_frozen_head
from lingraft.transfer import Frame


def problem(classes, seed=0, count=60, width=6):
    """Noisy states around one centre per class, far from the origin; as many labels."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(classes).normal(size=(classes, width))
    targets = [i % classes for i in range(count)]
    return torch.tensor(4 + 0.3 * (centres[targets] + rng.normal(size=(count, width)))).float(), targets


def fitted(classes, *, balanced=False, drop=0):
    """A head, and all that it was fitted on."""
    pooled, targets = problem(classes, seed=1)
    dev, dev_targets = problem(classes, seed=2, count=30)
    pooled, targets = pooled[drop:], targets[drop:]
    frame = Frame.of(pooled)
    head = fit_frozen_head(pooled, targets, dev, dev_targets, frame=frame, classes=classes, balanced=balanced)
    return head, frame, pooled, targets, dev, dev_targets


def reference(frame, pooled, targets, strength, balanced=False):
    """Scikit-learn's own model at a strength, and a function that frames states for it."""
    framed = lambda states: ((states - frame.mean) / frame.scale).numpy()  # noqa: E731
    weights = "balanced" if balanced else None
    return LogisticRegression(C=strength, max_iter=2000, class_weight=weights).fit(framed(pooled), targets), framed


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("balanced", [True, False])
def test_the_head_is_scikit_learn_s(classes, balanced):
    """On raw states the head gives the probabilities that scikit-learn gives on framed ones."""
    head, frame, pooled, targets, dev, _ = fitted(classes, balanced=balanced, drop=7)
    model, framed = reference(frame, pooled, targets, head.strength, balanced)
    probabilities = torch.softmax(head.logits(dev), dim=-1)
    np.testing.assert_allclose(probabilities.numpy(), model.predict_proba(framed(dev)), atol=2e-4)
    assert head.logits(dev).argmax(-1).tolist() == model.predict(framed(dev)).tolist()
    assert head.weight.shape == (classes, 6)
    assert head.bias.shape == (classes,)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_strength_is_chosen_on_the_development_set(classes):
    """Of all strengths the one of least log-loss there is taken, and its accuracy is told."""
    head, frame, pooled, targets, dev, dev_targets = fitted(classes)
    losses, accuracies = {}, {}
    for strength in STRENGTHS:
        model, framed = reference(frame, pooled, targets, strength)
        losses[strength] = log_loss(dev_targets, model.predict_proba(framed(dev)), labels=list(range(classes)))
        accuracies[strength] = float(np.mean(model.predict(framed(dev)) == np.array(dev_targets)))
    assert head.strength == min(losses, key=losses.get)
    assert head.dev_accuracy == accuracies[head.strength]


def test_a_development_set_without_a_class_is_no_trouble():
    """A small development set may lack a class that training has."""
    pooled, targets = problem(3)
    head = fit_frozen_head(
        pooled, targets, pooled[:2], targets[:2], frame=Frame.of(pooled), classes=3, balanced=True
    )  # fmt: skip
    assert head.dev_accuracy == 1.0


def test_the_fit_repeats_itself():
    """Nothing about the head is random."""
    one, other = fitted(3)[0], fitted(3)[0]
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)


def test_the_warm_start_gives_the_same_logits():
    """Written into a linear layer, the head says what it said."""
    head, _, _, _, dev, _ = fitted(3)
    linear = nn.Linear(6, 3)
    head.write_to(linear)
    torch.testing.assert_close(linear(dev), head.logits(dev))
    assert linear.weight.requires_grad


def test_balance_helps_the_rare_class():
    """With few examples of a class, weighing by frequency predicts it more often."""
    pooled, targets = problem(2, count=80)
    rare = [i for i, t in enumerate(targets) if t == 0 or i < 6]
    pooled, targets = pooled[rare] + 0.3 * torch.randn(len(rare), 6, generator=torch.manual_seed(0)), [targets[i] for i in rare]
    counts = []
    for balanced in (False, True):
        head = fit_frozen_head(
            pooled, targets, pooled, targets, frame=Frame.of(pooled), classes=2, balanced=balanced
        )  # fmt: skip
        counts.append(int((head.logits(pooled).argmax(-1) == 1).sum()))
    assert counts[1] >= counts[0]
