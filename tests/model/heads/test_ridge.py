"""The ridge head against scikit-learn's, and its strength against refitting without each example."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from lingraft.model.heads.linear import Labelled
from lingraft.model.heads.ridge import fit_ridge_head
from lingraft.model.standardiser import Standardiser


def labelled(count, width=6, seed=0, noise=1.0):
    """States around a point, and a number that some of their directions tell."""
    rng = np.random.default_rng(seed)
    states = 3 + 2 * rng.normal(size=(count, width))
    numbers = states[:, 0] - 0.5 * states[:, 1] + noise * rng.normal(size=count)
    return Labelled(torch.tensor(states).float(), numbers.tolist())


def standardised(train):
    """The states as the head standardises them, and with what."""
    standardiser = Standardiser.fit(train.pooled)
    return ((train.pooled - standardiser.mean) / standardiser.scale).double().numpy(), standardiser


@pytest.mark.parametrize("count", [5, 30])
def test_the_head_is_scikit_learns_of_the_strength_that_was_chosen(count):
    """With fewer examples than dimensions and with more, from states as they are."""
    train, asked = labelled(count), labelled(9, seed=1).pooled
    states, standardiser = standardised(train)
    head = fit_ridge_head(train, standardiser=standardiser)
    size = float((states**2).sum(1).mean())
    ridge = Ridge(alpha=head.strength * size).fit(states, train.targets)
    expected = ridge.predict(((asked - standardiser.mean) / standardiser.scale).double().numpy())
    np.testing.assert_allclose(head.logits(asked)[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_the_strength_predicts_best_what_was_left_out():
    """Of those tried none has a smaller error when each example is predicted by a fit of all others."""
    train, strengths = labelled(25, noise=4.0), (0.001, 0.1, 1.0, 10.0)
    states, standardiser = standardised(train)
    size, targets = float((states**2).sum(1).mean()), np.array(train.targets)

    def error(strength):
        ridge = Ridge(alpha=strength * size)
        return float(np.mean((cross_val_predict(ridge, states, targets, cv=LeaveOneOut()) - targets) ** 2))

    head = fit_ridge_head(train, standardiser=standardiser, strengths=strengths)
    assert head.strength == pytest.approx(min(strengths, key=error))
    assert head.dev_score == pytest.approx(-error(head.strength))


def test_an_example_counts_as_much_as_it_weighs():
    """Three of an example are one that weighs three."""
    train = labelled(12)
    _, standardiser = standardised(train)
    copies = [0, 0, 0, *range(1, 12)]
    several = Labelled(train.pooled[copies], [train.targets[i] for i in copies])
    one = Labelled(train.pooled, train.targets, [3.0] + [1.0] * 11)
    fits = [fit_ridge_head(found, standardiser=standardiser, strengths=(1e-9,)) for found in (several, one)]
    np.testing.assert_allclose(fits[0].logits(train.pooled), fits[1].logits(train.pooled), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("count", [1, 2])
def test_hardly_any_examples_give_their_mean(count):
    """There is nothing to choose a strength by, so the strongest is taken."""
    train = labelled(count)
    standardiser = Standardiser(torch.zeros(6), torch.tensor(1.0))
    head = fit_ridge_head(train, standardiser=standardiser)
    assert head.strength == pytest.approx(1000.0)
    assert head.logits(train.pooled)[:, 0].tolist() == pytest.approx([np.mean(train.targets)] * count, abs=0.01)


def test_equal_states_give_the_mean():
    """Nothing tells them apart, and nothing is divided by."""
    train = Labelled(torch.ones(4, 3), [1.0, 2.0, 3.0, 6.0])
    head = fit_ridge_head(train, standardiser=Standardiser(torch.ones(3), torch.tensor(1e-6)))
    assert head.logits(torch.ones(1, 3)).item() == pytest.approx(3.0)
