"""How much a labelled target example counts in the head, chosen on the shots themselves."""

from functools import partial

import numpy as np
import pytest
import torch

from lingraft.model.heads.linear import Labelled, fit_head, join, select
from lingraft.model.standardiser import Standardiser
from lingraft.training.head_fits import SHOT_WEIGHTS, choose_shot_weight

CENTRES = torch.tensor([[1.5, 0.0, 0.0, 0.0], [-1.5, 0.0, 0.0, 0.0]])


def examples(count, seed, turned=False):
    """States around the centre of their class; ``turned``: the classes lie along another direction."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 2, count)
    centres = CENTRES[:, [1, 0, 2, 3]] if turned else CENTRES
    return Labelled(centres[classes] + torch.tensor(rng.normal(size=(count, 4))).float(), classes.tolist())


@pytest.fixture
def fit():
    """Fits a head to examples; the development set is of the source language."""
    source = examples(200, 0)
    options = {"standardiser": Standardiser.fit(source.pooled), "classes": 2, "balanced": False}
    return partial(fit_head, dev=examples(100, 1), strengths=(1.0,), calibrated=True, **options)


def test_shots_count_much_where_their_language_differs(fit):
    """The source's head is of no use for them."""
    found = choose_shot_weight(fit, examples(200, 0), examples(60, 2, turned=True), [str(i) for i in range(60)])
    assert found == SHOT_WEIGHTS[-1]


def test_shots_count_little_where_their_labels_are_noise(fit):
    """Heads that leave them out predict them no better for having seen the others."""
    noise = examples(40, 3)
    wrong = Labelled(noise.pooled, np.random.default_rng(4).integers(0, 2, 40).tolist())
    assert choose_shot_weight(fit, examples(200, 0), wrong, [str(i) for i in range(40)]) == SHOT_WEIGHTS[0]


def test_translations_of_a_shot_are_left_out_with_it(fit):
    """Seen beside its copies in other languages, a wrongly labelled text would be learnt by heart."""
    texts, labels = torch.eye(24).repeat(6, 1) * 3, np.random.default_rng(6).integers(0, 2, 24).tolist()
    source = Labelled(torch.zeros(20, 24), [0, 1] * 10)
    options = {"standardiser": Standardiser(torch.zeros(24), torch.ones(())), "classes": 2, "balanced": False}
    wide = partial(fit_head, dev=source, strengths=(1.0,), **options)
    together = choose_shot_weight(wide, source, Labelled(texts, labels * 6), [str(i) for i in range(24)] * 6)
    apart = choose_shot_weight(wide, source, Labelled(texts, labels * 6), [str(i) for i in range(24 * 6)])
    assert (together, apart) == (SHOT_WEIGHTS[0], SHOT_WEIGHTS[-1])


def test_one_shot_is_left_at_the_smallest_weight(fit):
    """There is nothing to predict it by."""
    assert choose_shot_weight(fit, examples(200, 0), examples(1, 7), ["1"]) == SHOT_WEIGHTS[0]


def test_labelled_states_are_joined_and_selected_in_their_order():
    """Rows and classes stay together."""
    first, second = examples(3, 8), examples(2, 9)
    both = join([first, second])
    chosen = select(both, np.array([4, 0]))
    assert torch.equal(chosen.pooled, torch.stack([second.pooled[1], first.pooled[0]]))
    assert chosen.targets == [second.targets[1], first.targets[0]]
