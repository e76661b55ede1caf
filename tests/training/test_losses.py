"""The losses of one step, added up by hand."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lingraft.core.records import Matching
from lingraft.tasks.kinds import NO_LABEL
from lingraft.tasks.kinds.classification import cross_entropy
from lingraft.training.consistency import Consistency
from lingraft.training.ema_teacher import Teacher
from lingraft.training.losses import Losses, Objective
from small_training import SOURCE, TARGET, shaken, small_model, small_transfer, task_loss


@pytest.fixture
def model(stack):
    """A model amid training, dropout off."""
    return shaken(small_model(stack, dropout=0.0), size=0.3).eval()


@pytest.fixture
def terms(stack, world):
    """Squared distance, standardised by the source texts."""
    return small_transfer(stack, world)


def distance(states, batch, world):
    """Squared distance of the rows with a teacher to their teacher, in units of the source texts' spread."""
    source = torch.cat([source.teacher for source, _ in world])
    spread = (source - source.mean(0)).square().mean()
    return (states.pooled() - batch.teacher)[batch.has_teacher].square().mean() / spread


@pytest.mark.parametrize("shot_weight", [1.0, 0.2])
def test_the_loss_is_task_and_alignment_by_hand(model, world, terms, shot_weight):
    """Labelled rows count alike but for shots; each language's pairs are aligned, rows without teacher left out."""
    source, target = world[0]
    target = replace(target, weights=torch.tensor([7.0, shot_weight, 7.0, 7.0]))  # 7: rows without a label
    found = Objective(task_loss, terms, 0.5).losses(model, (source, target))
    with torch.no_grad():
        states, logits = model(source.states, SOURCE)
        others, other_logits = model(target.states, TARGET)
        rows = nn.functional.cross_entropy(logits, source.targets, reduction="sum")
        shot = nn.functional.cross_entropy(other_logits[1:2], target.targets[1:2])
        task = (rows + shot_weight * shot) / (8 + shot_weight)
        alignment = 0.5 * distance(states, source, world) + distance(others, target, world)
    torch.testing.assert_close(found.task, task)
    torch.testing.assert_close(found.alignment[0], alignment)
    torch.testing.assert_close(found.total([3.0]), task + 3.0 * alignment)


def test_copies_are_compared_with_the_source_batch(model, world):
    """Both are read with gradient, each in its own language; what they differ in is added to the task's loss."""
    source, target = world[0]
    rows = torch.arange(4)[:, None]
    matching = Matching(torch.cat([rows, torch.full((4, 1), -1)]), rows, torch.arange(4))
    copies = replace(
        target, targets=torch.full((4,), NO_LABEL), has_teacher=torch.zeros(4, dtype=torch.bool), matching=matching
    )
    consistency = Consistency("outputs", weight=3.0)
    found = Objective(task_loss, consistency=consistency).losses(model, (source, copies))
    with torch.no_grad():
        logits, others = model(source.states, SOURCE)[1], model(copies.states, TARGET)[1]
        expected = consistency(logits, others, matching)
        task = nn.functional.cross_entropy(logits, source.targets)
    torch.testing.assert_close(found.consistency, expected)
    torch.testing.assert_close(found.total([]), task + expected)
    assert Objective(task_loss).losses(model, (source, target)).consistency is None


def test_target_pairs_count_in_full_even_if_all_are_labelled(model, world, terms):
    """The weight of keeping is the source language's: a target batch of shots alone is aligned with weight 1."""
    source, target = world[0]
    labelled = replace(
        target, targets=torch.zeros_like(target.targets), has_teacher=torch.ones_like(target.has_teacher)
    )
    found = Objective(task_loss, terms, 0.0).losses(model, (source, labelled))
    with torch.no_grad():
        expected = distance(model(labelled.states, TARGET)[0], labelled, world)
    torch.testing.assert_close(found.alignment[0], expected)


def test_without_keeping_the_source_is_not_aligned(model, world, terms):
    """`source_regularisation: 0` leaves the source side to the task loss."""
    source, _ = world[0]
    assert Objective(task_loss, terms, 0.0).losses(model, (source,)).alignment == (None,)


def test_without_parallel_text_there_is_the_task_loss_only(model, world):
    """No terms, no alignment."""
    found = Objective(task_loss, None, 1.0).losses(model, world[0])
    assert found.alignment == ()
    assert torch.equal(found.total([]), found.task)


def test_a_batch_without_labels_costs_no_task_loss(model, world, terms):
    """Pairs alone have a task loss of zero that asks for no gradient."""
    _, target = world[0]
    pairs = replace(target, targets=torch.full_like(target.targets, NO_LABEL))
    found = Objective(task_loss, terms, 1.0).losses(model, (pairs,))
    assert found.task.item() == 0.0
    assert not found.task.requires_grad
    assert found.alignment[0].requires_grad


def test_class_weights_shift_the_loss(model, world):
    """A class of weight zero costs nothing; the mean is over weights."""
    source, _ = world[0]

    def weighted(logits, targets, mask, rows):
        return cross_entropy(logits, targets, mask, torch.tensor([0.0, 3.0]), rows)

    with torch.no_grad():
        logits = model(source.states, SOURCE)[1]
    ones = source.targets == 1
    only = task_loss(logits[ones], source.targets[ones], source.states.mask[ones], torch.ones(int(ones.sum())))
    torch.testing.assert_close(Objective(weighted, None, 1.0).losses(model, (source,)).task, only)


def test_a_loss_that_did_not_apply_is_left_out():
    """Weights belong to losses by their place, those without a value included."""
    losses = Losses(torch.tensor(1.0), (torch.tensor(10.0), None, torch.tensor(100.0)))
    assert losses.total([0.5, 7.0, 2.0]).item() == 1.0 + 5.0 + 200.0


def test_several_losses_come_in_the_recipe_s_order(stack, model, world):
    """Each by itself and without its weight; what needs words or predictions is the target's alone."""
    blocks = {"name": "mse", "weight": 5.0}, {"name": "prediction", "temperature": 1.0}, {"name": "words"}
    terms, teacher = small_transfer(stack, world, *blocks), Teacher(model, 0.9, {})
    source, target = world[0]
    both = Objective(task_loss, terms, 0.5).losses(model, (source, target), teacher)
    one = Objective(task_loss, terms, 0.5).losses(model, (source,), teacher)
    other = Objective(task_loss, terms, 0.5).losses(model, (target,), teacher)
    assert [loss is None for loss in one.alignment] == [False, True, True]
    torch.testing.assert_close(both.alignment[0], one.alignment[0] + other.alignment[0])
    assert torch.equal(both.alignment[1], other.alignment[1])
    assert torch.equal(both.alignment[2], other.alignment[2])
    model.eval()
    with torch.no_grad():
        expected = model(target.source, SOURCE)[1].softmax(-1)
        said = model(target.states, TARGET)[1][target.has_teacher].log_softmax(-1)
        by_hand = (expected * (expected.log() - said)).sum(-1).mean()
    torch.testing.assert_close(other.alignment[1], by_hand)


def test_what_no_loss_looks_at_is_not_learnt_from(world, terms):
    """Pairs without labels are there for alignment, the source batch for its labels, or to be compared with copies."""
    source, target = (replace(one, targets=torch.full_like(one.targets, NO_LABEL)) for one in world[0])
    copies = replace(target, has_teacher=torch.zeros_like(target.has_teacher), matching=Matching(*[torch.zeros(1)] * 3))
    bare, aligned = Objective(task_loss), Objective(task_loss, terms, 0.0)
    compared = Objective(task_loss, consistency=Consistency("outputs", weight=1.0))
    found = [
        [objective.learns_from(batch) for batch in (*world[0], source, target, copies)]
        for objective in (bare, aligned, Objective(task_loss, terms, 0.5), compared)
    ]
    assert found == [
        [True, True, False, False, False],
        [True, True, False, True, False],
        [True, True, True, True, False],
        [True, True, True, False, True],
    ]
