"""How task and alignment pull on the same parameters, against gradients taken one by one."""

import pytest
import torch
from torch import nn

import lingraft.training.gradient_balance
from lingraft.training.gradient_balance import EVERY, MEMORY, Balance
from lingraft.training.losses import Losses, Objective
from small_training import shaken, small_model, small_settings, small_transfer, task_loss, trained


@pytest.fixture
def model(stack):
    """A model amid training, dropout off."""
    return shaken(small_model(stack, dropout=0.0), size=0.3)


@pytest.fixture
def terms(stack, world):
    """Two losses of different size."""
    return small_transfer(stack, world, {"name": "mse", "weight": 3.0}, {"name": "contrastive", "weight": 0.5})


def trainable(model):
    """Parameters by name, as training has them."""
    return dict(model.adaptation.named_parameters())


def gradient(model, loss):
    """The gradient of a loss on all that is not the head, as one vector, and where it is there at all."""
    named = {name: p for name, p in trainable(model).items() if not name.startswith("head.")}
    found = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
    return torch.cat(
        [
            torch.zeros_like(p).flatten() if g is None else g.flatten()
            for p, g in zip(named.values(), found, strict=True)
        ]
    )


def step_losses(model, world, terms, step=0):
    """The losses of a step."""
    return Objective(task_loss, terms, 1.0).losses(model, world[step % len(world)])


def test_cosine_and_ratio_by_hand(model, world, terms):
    """Of the task's gradient and the weighted sum of the alignment's, over prompts and adapters."""
    balance, losses = Balance(terms, None, {}), step_losses(model, world, terms)
    balance.look(losses, trainable(model), 0)
    task = gradient(model, losses.task)
    alignment = 3.0 * gradient(model, losses.alignment[0]) + 0.5 * gradient(model, losses.alignment[1])
    row = balance.row()
    assert row["gradient_cosine"] == pytest.approx(torch.cosine_similarity(task, alignment, dim=0).item(), abs=1e-5)
    assert row["gradient_ratio"] == pytest.approx((alignment.norm() / task.norm()).item(), rel=1e-4)
    assert row["weights"] == balance.weights == [3.0, 0.5]


def test_an_epoch_s_record_is_the_mean_of_its_measurements(model, world, terms):
    """And the next epoch starts anew."""
    balance, each = Balance(terms, None, {}), []
    for step in (0, 1):
        losses = step_losses(model, world, terms, step)
        alone = Balance(terms, None, {})
        for one in (balance, alone):
            one.look(losses, trainable(model), 0)
        each.append(alone.row())
    row = balance.row()
    for key in ("gradient_cosine", "gradient_ratio"):
        assert row[key] == pytest.approx(sum(one[key] for one in each) / 2)
    assert balance.row() == {"gradient_cosine": None, "gradient_ratio": None, "weights": [3.0, 0.5]}


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_balanced_gradients_are_a_share_of_the_task_s(model, world, terms, share):
    """Each alignment gradient times its new factor is as long as the share says, times the loss's own weight."""
    balance, losses = Balance(terms, share, {}), step_losses(model, world, terms)
    balance.look(losses, trainable(model), 0)
    task = gradient(model, losses.task).norm().item()
    for own, factor, loss in zip((3.0, 0.5), balance.weights, losses.alignment, strict=True):
        assert factor * gradient(model, loss).norm().item() == pytest.approx(own * share * task, rel=1e-4)


def test_balanced_weights_follow_running_means(model, world, terms):
    """The second measurement counts with the share that the first leaves it."""
    balance, norms = Balance(terms, 1.0, {}), []
    for step in (0, 1):
        losses = step_losses(model, world, terms, step)
        balance.look(losses, trainable(model), step * EVERY)
        norms.append([gradient(model, loss).norm().item() for loss in (losses.task, *losses.alignment)])
    task, *others = [MEMORY * a + (1 - MEMORY) * b for a, b in zip(*norms, strict=True)]
    expected = [own * task / other for own, other in zip((3.0, 0.5), others, strict=True)]
    assert balance.weights == pytest.approx(expected, rel=1e-4)
    assert balance.row()["weights"] == pytest.approx(balance.weights, abs=1e-6)


def test_the_state_continues_where_it_stopped(model, world, terms):
    """What was measured before goes on to count, number by number."""
    whole = Balance(terms, 0.5, {})
    whole.look(step_losses(model, world, terms, 0), trainable(model), 0)
    resumed = Balance(terms, 0.5, whole.state())
    for balance in (whole, resumed):
        balance.look(step_losses(model, world, terms, 1), trainable(model), EVERY)
    assert resumed.state() == whole.state()
    assert resumed.row() == whole.row()


def test_nothing_is_measured_off_the_beat(model, world, terms, monkeypatch):
    """Between two measurements no gradient is taken; none ever without alignment, without labels, for a head alone."""
    monkeypatch.setattr(torch.autograd, "grad", None)
    losses = step_losses(model, world, terms)
    for step in range(1, EVERY):
        Balance(terms, 1.0, {}).look(losses, trainable(model), step)
    Balance(None, 1.0, {}).look(losses, trainable(model), 0)
    unlabelled = Losses(torch.zeros(()), losses.alignment)
    Balance(terms, 1.0, {}).look(unlabelled, trainable(model), 0)
    Balance(terms, 1.0, {}).look(losses, {"head.weight": model.adaptation.head.weight}, 0)


def test_a_training_measures_every_so_many_steps(stack, world, terms, monkeypatch):
    """At the first step and every twentieth after it, and the factors change there only."""
    looked, factors = [], []
    original = Balance.look

    def look(balance, losses, trained, step):
        before = list(balance.weights)
        original(balance, losses, trained, step)
        factors.append(list(balance.weights))
        if before != balance.weights:
            looked.append(step)

    monkeypatch.setattr(Balance, "look", look)
    settings = small_settings(num_train_epochs=15, balance=1.0)
    _, history = trained(small_model(stack), world, terms, settings=settings)
    assert looked == [0, 20, 40]
    assert [row["epoch"] for row in history if row["gradient_cosine"] is not None] == [1, 7, 14]
    assert history[-1]["weights"] == pytest.approx(factors[-1], abs=1e-6)


def test_measuring_changes_no_training(stack, world, terms, monkeypatch):
    """With fixed weights a training that is measured at every step is the one that is never measured."""
    found = []
    for every in (1, 10**9):
        monkeypatch.setattr(lingraft.training.gradient_balance, "EVERY", every)
        found.append(trained(small_model(stack), world, terms)[0])
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_loss_that_did_not_apply_leaves_the_weights(model, world, terms):
    """Where a step lacks a loss nothing can be weighed, and where a gradient is zero its own weight stays."""
    losses = step_losses(model, world, terms)
    balance = Balance(terms, 1.0, {})
    balance.look(Losses(losses.task, (losses.alignment[0], None)), trainable(model), 0)
    assert balance.weights == [3.0, 0.5]
    assert len(balance.cosines) == 1
    balance.look(Losses(losses.task, (losses.alignment[0], 0.0 * losses.alignment[1])), trainable(model), 0)
    assert balance.weights[0] != 3.0
    assert balance.weights[1] == 0.5


def test_only_parameters_that_both_touch_are_compared(terms):
    """A parameter of the one loss alone says nothing of how the two relate."""
    shared, task_only, aligned_only = (nn.Parameter(torch.tensor([2.0, -1.0])) for _ in range(3))
    task = (shared * torch.tensor([3.0, 4.0])).sum() + 100 * task_only.sum()
    one, other = (shared * torch.tensor([4.0, 3.0])).sum() + 50 * aligned_only.sum(), (shared * 0.0).sum()
    balance = Balance(terms, None, {})
    trained = {"prompt.a": shared, "prompt.b": task_only, "adapter.c": aligned_only, "head.weight": shared}
    balance.look(Losses(task, (one, other)), trained, 0)
    assert balance.cosines == pytest.approx([24 / 25])
    assert balance.ratios == pytest.approx([3.0])
