"""Contract of every registered alignment loss; each of ours against a slow plain reference."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.alignment import alignment
from lingraft.alignment.contrastive import cosine_matrix
from lingraft.records import States

ORDER_FREE = set()
"""Losses that compare the two sides as a whole; true pairs cost them no less than shuffled ones."""


@pytest.fixture(params=list(alignment))
def name(request):
    """Each registered loss."""
    return request.param


# ---- References, in plain Python -------------------------------------------------------------------


def plain_pooled(states):
    """Mean over real tokens, as lists of numbers."""
    pooled = []
    for row, mask in zip(states.tokens.double().tolist(), states.mask.tolist(), strict=True):
        real = [token for token, keep in zip(row, mask, strict=True) if keep]
        pooled.append([sum(column) / len(column) for column in zip(*real, strict=True)])
    return pooled


def plain_cosine(a, b):
    """The cosine of two lists of numbers."""
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def plain_mse(source, target):
    """Mean squared difference."""
    differences = [(x - y) ** 2 for a, b in zip(source, target, strict=True) for x, y in zip(a, b, strict=True)]
    return sum(differences) / len(differences)


def plain_cosine_loss(source, target):
    """Mean of one minus the cosine."""
    return sum(1 - plain_cosine(a, b) for a, b in zip(source, target, strict=True)) / len(source)


def plain_contrastive(source, target, temperature=0.1):
    """InfoNCE from targets to sources and from sources to targets, one row at a time."""
    total = 0.0
    for one, other in ((target, source), (source, target)):
        for i, row in enumerate(one):
            weights = [math.exp(plain_cosine(row, column) / temperature) for column in other]
            total -= math.log(weights[i] / sum(weights))
    return total / (2 * len(source))


REFERENCES = {"mse": plain_mse, "cosine": plain_cosine_loss, "contrastive": plain_contrastive}


def test_every_loss_has_a_reference():
    """A loss of ours brings its definition, written plainly, to this file."""
    assert set(alignment) == set(REFERENCES)


@pytest.mark.parametrize("kind", REFERENCES)
@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 8), st.integers(0, 999))
def test_a_loss_equals_its_reference(kind, batch, length, width, seed):
    """On random states of any size the loss is what its definition says."""
    generator = torch.Generator().manual_seed(seed)

    def states():
        lengths = torch.randint(1, length + 1, (batch, 1), generator=generator)
        mask = (torch.arange(length) < lengths).long()
        return States(torch.randn(batch, length, width, generator=generator), mask, layer=0)

    source, target = states(), states()
    expected = REFERENCES[kind](plain_pooled(source), plain_pooled(target))
    assert alignment.build(kind)(source, target).item() == pytest.approx(expected, rel=1e-3, abs=1e-4)


# ---- Contract --------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_loss_is_a_scalar_with_a_finite_gradient(name, batch, random_states):
    """The student learns from it; batches of one are no exception."""
    source, target = random_states(batch, seed=0), random_states(batch, seed=1)
    target.tokens.requires_grad_()
    value = alignment.build(name)(source, target)
    value.backward()
    assert value.dim() == 0
    assert math.isfinite(value.item())
    assert target.tokens.grad.isfinite().all()
    assert batch == 1 or target.tokens.grad.abs().sum() > 0


@pytest.mark.parametrize("fill", [None, 0.0, 1e-30, 1e4])
def test_the_gradient_is_finite_where_rows_coincide(name, fill, random_states):
    """A row that equals its teacher, all rows alike, zeros, tiny and huge states: no division by zero."""
    source = random_states(seed=3)
    if fill is not None:
        source = replace(source, tokens=torch.full_like(source.tokens, fill))
    target = replace(source, tokens=source.tokens.clone().requires_grad_())
    value = alignment.build(name)(source, target)
    value.backward()
    assert math.isfinite(value.item())
    assert target.tokens.grad.isfinite().all()


def test_padding_is_ignored(name, random_states):
    """Whatever stands in padding costs nothing and learns nothing."""
    source, target = random_states(5, seed=0), random_states(5, seed=1)
    loss = alignment.build(name)
    real = target.mask.bool().unsqueeze(-1)
    noisy = replace(target, tokens=torch.where(real, target.tokens, 1e3).requires_grad_())
    value = loss(source, noisy)
    value.backward()
    torch.testing.assert_close(value, loss(source, target))
    assert (noisy.tokens.grad[~real.expand_as(noisy.tokens)] == 0).all()


def test_longer_padding_is_ignored(name, random_states):
    """A batch padded further costs the same."""
    source, target = random_states(5, seed=0), random_states(5, seed=1)
    longer = replace(
        target,
        tokens=torch.cat([target.tokens, torch.full((5, 3, 8), 9.0)], dim=1),
        mask=torch.cat([target.mask, torch.zeros(5, 3, dtype=torch.long)], dim=1),
    )
    loss = alignment.build(name)
    torch.testing.assert_close(loss(source, longer), loss(source, target))


@pytest.mark.parametrize("seed", range(5))
def test_true_pairs_cost_no_more_than_shuffled_ones(name, seed, random_states):
    """Translations, noisy as they are, are cheaper in their order than in another."""
    source = random_states(6, seed=seed)
    noise = random_states(6, seed=100 + seed)
    target = replace(source, tokens=source.tokens + 0.2 * noise.tokens)
    loss = alignment.build(name)
    true, shuffled = loss(source, target), loss(source, target.take([1, 2, 3, 4, 5, 0]))
    assert true <= shuffled if name in ORDER_FREE else true < shuffled


def test_a_step_down_the_gradient_costs_less(name, random_states):
    """What the loss teaches brings the sides together."""
    source, target = random_states(6, seed=0), random_states(6, seed=1)
    loss = alignment.build(name)
    target.tokens.requires_grad_()
    before = loss(source, target)
    (gradient,) = torch.autograd.grad(before, target.tokens)
    moved = replace(target, tokens=(target.tokens - 0.1 * gradient / gradient.norm()).detach())
    assert loss(source, moved) < before


# ---- Ours ------------------------------------------------------------------------------------------


def test_equal_states_cost_nothing(random_states):
    """A student on its teacher's spot has nothing to learn from pairwise losses."""
    states = random_states(6)
    assert alignment.build("mse")(states, states).item() == 0.0
    assert alignment.build("cosine")(states, states).item() == pytest.approx(0.0, abs=1e-6)


def test_contrastive_is_log_of_the_batch_where_all_look_alike(random_states):
    """Nothing to tell sentences apart by costs as much as guessing."""
    states = random_states(6)
    alike = replace(states, tokens=torch.ones_like(states.tokens))
    assert alignment.build("contrastive")(alike, alike).item() == pytest.approx(math.log(6), rel=1e-5)


def test_contrastive_takes_its_temperature(random_states):
    """The option reaches the formula."""
    source, target = random_states(5, seed=0), random_states(5, seed=1)
    expected = plain_contrastive(plain_pooled(source), plain_pooled(target), temperature=0.5)
    value = alignment.build("contrastive", {"temperature": 0.5})(source, target)
    assert value.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_an_impossible_temperature_is_refused(temperature):
    """Dividing by zero is found before a model is loaded."""
    (problem,) = alignment.check("contrastive", {"temperature": temperature}, "alignment.0")
    assert problem.startswith("alignment.0.temperature: ")


def test_cosines_of_known_vectors():
    """Right angles give 0, opposite directions -1, whatever the lengths."""
    rows = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    torch.testing.assert_close(
        cosine_matrix(rows, torch.tensor([[1.0, 0.0], [-5.0, 0.0], [1.0, 1.0]])),
        torch.tensor([[1.0, -1.0, 0.5**0.5], [0.0, 0.0, 0.5**0.5]]),
    )
