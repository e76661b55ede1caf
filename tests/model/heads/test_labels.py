"""The head of several labels against a logistic regression of scikit-learn's for each."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from lingraft.model.heads.labels import fit_label_heads
from lingraft.model.heads.linear import Labelled, best_temperature
from lingraft.model.heads.thresholded import ThresholdedClassifier
from lingraft.model.standardiser import Standardiser

STRENGTHS = (0.01, 1.0)


def labelled(count, seed, width=5):
    """States around a point; two labels that some of their directions tell, and one that no text has."""
    rng = np.random.default_rng(seed)
    states = 2 + 3 * rng.normal(size=(count, width))
    told = states[:, :2] + rng.normal(size=(count, 2)) > (2.0, 4.0)
    targets = np.column_stack([told, np.zeros(count)]).astype(int)
    return Labelled(torch.tensor(states).float(), [tuple(row) for row in targets.tolist()])


def fitted(train, dev, **options):
    """A head with a threshold of -0.3."""
    standardiser, asked = Standardiser.fit(train.pooled), []

    def choose(logits):
        asked.extend(logits)
        return -0.3

    head = fit_label_heads(train, dev, standardiser=standardiser, choose_threshold=choose, **options)
    return head, standardiser, torch.stack(asked)


def by_hand(train, asked, standardiser, strength, weights=None):
    """Log-odds of the first two labels."""
    states, others = (((one - standardiser.mean) / standardiser.scale).numpy() for one in (train.pooled, asked))
    models = [LogisticRegression(C=strength, max_iter=2000) for _ in range(2)]
    columns = np.array(train.targets).T
    return np.column_stack(
        [
            model.fit(states, column, sample_weight=weights).decision_function(others)
            for model, column in zip(models, columns, strict=False)
        ]
    )


def test_log_odds_are_those_of_a_regression_for_each_label_over_one_temperature():
    """Of the strength with the least log-loss on development data."""
    train, dev = labelled(60, 0), labelled(30, 1)
    head, standardiser, _ = fitted(train, dev, strengths=STRENGTHS)
    marks = np.array(dev.targets)[:, :2].ravel()
    losses = {
        strength: log_loss(marks, 1 / (1 + np.exp(-by_hand(train, dev.pooled, standardiser, strength).ravel())))
        for strength in STRENGTHS
    }
    assert head.strength == min(losses, key=losses.get)
    expected, found = by_hand(train, dev.pooled, standardiser, head.strength), head.logits(dev.pooled)[:, :2].numpy()
    every = torch.tensor(np.column_stack([expected, np.full(30, np.log(0.5 / 60.5))])).flatten()
    wanted = torch.tensor(dev.targets).flatten()
    temperature = best_temperature(torch.stack([torch.zeros(90), every], -1), wanted)
    assert found == pytest.approx(expected / temperature, rel=1e-2, abs=1e-2)


def test_a_label_that_no_text_has_is_improbable_whatever_the_text():
    """Its log-odds say of how many texts that is known, and no state moves them."""
    train = labelled(60, 0)
    head, _, _ = fitted(train, labelled(30, 1), strengths=(1.0,))
    assert head.weight[2].tolist() == [0.0] * 5
    rarest = head.logits(train.pooled)[:, 2]
    assert rarest.unique().shape == (1,)
    assert rarest[0] < -2


def test_an_example_counts_as_much_as_it_weighs():
    """Three of an example are one that weighs three."""
    train, dev = labelled(12, 0), labelled(30, 1)
    copies = [0, 0, 0, *range(1, 12)]
    several = Labelled(train.pooled[copies], [train.targets[i] for i in copies])
    one = Labelled(train.pooled, train.targets, [3.0] + [1.0] * 11)
    standardiser = Standardiser.fit(train.pooled)
    fits = [
        fit_label_heads(x, dev, standardiser=standardiser, choose_threshold=lambda logits: 0.0, strengths=(1.0,))
        for x in (several, one)
    ]
    assert torch.allclose(*(head.logits(dev.pooled) for head in fits), atol=2e-2)


def test_the_threshold_is_chosen_by_log_odds_that_have_none():
    """And stands behind those of any text, in the head that it is written to as well."""
    train, dev = labelled(60, 0), labelled(30, 1)
    head, _, asked = fitted(train, dev)
    assert asked[:, -1].tolist() == [0.0] * 30
    logits = head.logits(dev.pooled)
    assert torch.equal(asked[:, :-1], logits[:, :-1])
    assert logits[:, -1].tolist() == pytest.approx([-0.3] * 30)
    written = ThresholdedClassifier(5, 4)
    head.write_to(written)
    assert torch.allclose(written.read_pooled(dev.pooled), logits, atol=1e-5)
    right = (logits[:, :-1] > -0.3).numpy() == np.array(dev.targets)
    assert head.dev_score == pytest.approx(right.mean())
