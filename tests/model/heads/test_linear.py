"""Heads in closed form, against scikit-learn."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import nn

from lingraft.model.heads.linear import STRENGTHS, Labelled, best_temperature, fit_head
from lingraft.model.standardiser import Standardiser


def problem(classes, seed=0, count=60, width=6):
    """Noisy states around one centre per class, far from the origin; as many labels."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(classes).normal(size=(classes, width))
    targets = [i % classes for i in range(count)]
    return Labelled(torch.tensor(4 + 0.3 * (centres[targets] + rng.normal(size=(count, width)))).float(), targets)


def fitted(classes, *, balanced=False, drop=0, **options):
    """A head, and all that it was fitted on."""
    train, dev = problem(classes, seed=1), problem(classes, seed=2, count=30)
    train = Labelled(train.pooled[drop:], train.targets[drop:])
    standardiser = Standardiser.fit(train.pooled)
    return (
        fit_head(train, dev, standardiser=standardiser, classes=classes, balanced=balanced, **options),
        standardiser,
        train,
        dev,
    )


def reference(standardiser, train, strength, balanced=False, weights=None):
    """Scikit-learn's own model at a strength."""
    model = LogisticRegression(C=strength, max_iter=2000, class_weight="balanced" if balanced else None)
    return model.fit(standardised(standardiser, train.pooled), train.targets, sample_weight=weights)


def standardised(standardiser, pooled):
    """States as scikit-learn sees them."""
    return ((pooled - standardiser.mean) / standardiser.scale).numpy()


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("balanced", [True, False])
def test_the_head_is_scikit_learn_s(classes, balanced):
    """On raw states the head gives the probabilities that scikit-learn gives on standardised ones."""
    head, standardiser, train, dev = fitted(classes, balanced=balanced, drop=7)
    model = reference(standardiser, train, head.strength, balanced)
    probabilities = torch.softmax(head.logits(dev.pooled), dim=-1)
    np.testing.assert_allclose(
        probabilities.numpy(), model.predict_proba(standardised(standardiser, dev.pooled)), atol=2e-4
    )
    assert head.logits(dev.pooled).argmax(-1).tolist() == model.predict(standardised(standardiser, dev.pooled)).tolist()
    assert (head.weight.shape, head.bias.shape) == ((classes, 6), (classes,))


@pytest.mark.parametrize("classes", [2, 3])
def test_the_strength_is_chosen_on_the_development_set(classes):
    """Of all strengths the one of least log-loss there is taken, and its accuracy is told."""
    head, standardiser, train, dev = fitted(classes)
    losses, accuracies = {}, {}
    for strength in STRENGTHS:
        model = reference(standardiser, train, strength)
        losses[strength] = log_loss(
            dev.targets, model.predict_proba(standardised(standardiser, dev.pooled)), labels=list(range(classes))
        )
        accuracies[strength] = float(
            np.mean(model.predict(standardised(standardiser, dev.pooled)) == np.array(dev.targets))
        )
    assert head.strength == min(losses, key=losses.get)
    assert head.dev_score == accuracies[head.strength]


def test_a_given_strength_is_taken():
    """With one to choose from there is no choice."""
    assert fitted(3, strengths=(0.003,))[0].strength == 0.003


def test_weights_count_like_copies():
    """An example of weight 3 is an example three times; standardiser and development set being the same."""
    train, dev = problem(3, seed=1, count=12), problem(3, seed=2)
    standardiser = Standardiser.fit(train.pooled)
    weights = [3.0 if i < 4 else 1.0 for i in range(12)]
    copies = [i for i in range(12) for _ in range(int(weights[i]))]
    copied = Labelled(train.pooled[copies], [train.targets[i] for i in copies])
    weighed = replace(train, weights=weights)
    one = fit_head(weighed, dev, standardiser=standardiser, classes=3, balanced=False, strengths=(0.1,))
    other = fit_head(copied, dev, standardiser=standardiser, classes=3, balanced=False, strengths=(0.1,))
    torch.testing.assert_close(one.logits(dev.pooled), other.logits(dev.pooled), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("classes", [2, 4])
def test_calibration_scales_and_nothing_else(classes):
    """The same labels, logits divided by one number, and less log-loss on the development set."""
    plain, _, _, dev = fitted(classes, strengths=(0.001,))
    sure = fitted(classes, strengths=(0.001,), calibrated=True)[0]
    one, other = plain.logits(dev.pooled), sure.logits(dev.pooled)
    ratio = (other / one).flatten()
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), rtol=1e-2, atol=1e-2)
    assert sure.dev_score == plain.dev_score
    targets = torch.tensor(dev.targets)
    assert nn.functional.cross_entropy(other, targets) < nn.functional.cross_entropy(one, targets)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.floats(0.1, 5))
def test_the_best_temperature_is_the_best_of_a_grid(seed, scale):
    """No temperature of a fine grid gives the classes more probability."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 3, (40,), generator=generator)
    logits = scale * (nn.functional.one_hot(targets, 3) + torch.randn(40, 3, generator=generator))

    def loss(temperature):
        smoothed = 41 / 42 * nn.functional.one_hot(targets, 3) + 1 / 42 / 3
        return -(smoothed * (logits / temperature).log_softmax(-1)).sum(-1).mean().item()

    grid = torch.logspace(-1.3, 1.3, 101).tolist()
    assert loss(best_temperature(logits, targets)) <= min(map(loss, grid)) + 1e-4


def test_a_few_right_answers_do_not_make_the_head_certain():
    """Three examples that all come out right leave the confidence at that of four in five, spread over classes."""
    targets = torch.arange(3)
    logits = nn.functional.one_hot(targets, 3).float()
    confidence = (logits / best_temperature(logits, targets)).softmax(-1).max(-1).values
    torch.testing.assert_close(confidence, torch.full((3,), 4 / 5 + 1 / 15), rtol=0, atol=1e-3)


def test_a_development_set_without_a_class_is_no_trouble():
    """A small development set may lack a class that training has."""
    train = problem(3)
    dev = Labelled(train.pooled[:2], train.targets[:2])
    head = fit_head(train, dev, standardiser=Standardiser.fit(train.pooled), classes=3, balanced=True, calibrated=True)
    assert head.weight.isfinite().all()
    assert head.dev_score in (0.0, 0.5, 1.0)


def test_the_fit_repeats_itself():
    """Nothing about the head is random."""
    one, other = (fitted(3, calibrated=True)[0] for _ in range(2))
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)


def test_a_linear_layer_says_the_same():
    """Written into a layer, the head gives its logits, and can be trained on."""
    head, _, _, dev = fitted(3)
    linear = nn.Linear(6, 3)
    head.write_to(linear)
    torch.testing.assert_close(linear(dev.pooled), head.logits(dev.pooled))
    assert linear.weight.requires_grad


def test_strength_lengthens_the_weights():
    """The larger C, the less regularised."""
    norms = [fitted(3, strengths=(c,))[0].weight.norm().item() for c in STRENGTHS]
    assert all(a < b for a, b in pairwise(norms))


def test_balance_helps_the_rare_class():
    """With few examples of a class, weighing by frequency predicts it more often."""
    both = problem(2, count=80)
    rare = [i for i, target in enumerate(both.targets) if target == 0 or i < 6]
    noise = torch.randn(len(rare), 6, generator=torch.Generator().manual_seed(0))
    train = Labelled(both.pooled[rare] + 0.5 * noise, [both.targets[i] for i in rare])
    counts = []
    for balanced in (False, True):
        head = fit_head(
            train, train, standardiser=Standardiser.fit(train.pooled), classes=2, balanced=balanced, strengths=(0.1,)
        )  # fmt: skip
        counts.append(int((head.logits(train.pooled).argmax(-1) == 1).sum()))
    assert counts[1] > counts[0]
