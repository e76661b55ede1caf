"""Sinkhorn against the exact linear programme; the loss as a whole is held to its contract in test_alignment."""

import math
from dataclasses import replace

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from lingraft.training.alignment import View, alignment
from lingraft.training.alignment.transport import sinkhorn


def exact_transport(cost):
    """The linear programme: least <P, C> with uniform marginals."""
    m, n = cost.shape
    rows, columns = numpy.kron(numpy.eye(m), numpy.ones(n)), numpy.kron(numpy.ones(m), numpy.eye(n))
    marginals = numpy.concatenate([numpy.full(m, 1 / m), numpy.full(n, 1 / n)])
    return linprog(cost.ravel(), A_eq=numpy.vstack([rows, columns]), b_eq=marginals).fun


def random_costs(seed=0):
    """Costs ``[3, 5, 4]`` of pairs of different lengths, with their masks."""
    costs = 2 * torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rows, columns = (
        torch.arange(n) < torch.tensor(lengths)[:, None] for n, lengths in ((5, (5, 3, 1)), (4, (2, 4, 3)))
    )
    return costs, rows, columns


def test_transport_nears_the_exact_optimum_as_epsilon_falls():
    """The entropic plan costs more than the linear programme's, and ever less."""
    costs, rows, columns = random_costs()
    exact = sum(exact_transport(c[r][:, k].numpy()) for c, r, k in zip(costs, rows, columns, strict=True))
    excess = [
        (sinkhorn(costs, rows, columns, epsilon=epsilon, iterations=5000) * costs).sum().item() - exact
        for epsilon in (0.5, 0.1, 0.02, 0.005)
    ]
    assert excess == sorted(excess, reverse=True)
    assert excess[0] > 0.01
    assert excess[-1] == pytest.approx(0.0, abs=1e-4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.sampled_from([0.001, 0.05, 1.0]))
def test_a_plan_spends_each_token_evenly(seed, epsilon):
    """Columns sum to their share after any pass, padding has none, and nothing overflows at a tiny epsilon."""
    costs, rows, columns = random_costs(seed)
    plan = sinkhorn(costs.float(), rows, columns, epsilon=epsilon, iterations=4)
    assert plan.isfinite().all()
    torch.testing.assert_close(plan.sum(1), columns / columns.sum(1, keepdim=True), rtol=1e-3, atol=1e-5)
    assert (plan[~(rows[:, :, None] & columns[:, None, :])] == 0).all()


def test_the_gradient_of_transport_is_the_plan():
    """That of the entropic objective by finite differences, as the envelope theorem says."""
    costs, rows, columns = random_costs()

    def objective(costs):
        plan = sinkhorn(costs, rows, columns, epsilon=0.2, iterations=2000)
        return (plan * costs).sum() + 0.2 * torch.xlogy(plan, plan).sum()

    plan = sinkhorn(costs, rows, columns, epsilon=0.2, iterations=2000)
    for index in [(0, 4, 1), (1, 2, 3), (2, 0, 0), (1, 4, 0)]:
        nudge = torch.zeros_like(costs)
        nudge[index] = 1e-5
        slope = (objective(costs + nudge) - objective(costs - nudge)) / 2e-5
        assert slope.item() == pytest.approx(plan[index].item(), abs=1e-6)


def test_padding_of_transport_may_hold_anything(random_states):
    """The same bits with noise, infinities and NaN in padding, on both sides, and no gradient there."""
    source, target = random_states(5, seed=0), random_states(5, seed=1)
    loss = alignment.build("transport")
    expected = loss(View(source), View(target))
    for filler in (1e30, math.inf, math.nan):
        one, other = (
            replace(side, tokens=torch.where(side.mask.bool().unsqueeze(-1), side.tokens, filler))
            for side in (source, target)
        )
        other.tokens.requires_grad_()
        value = loss(View(one), View(other))
        value.backward()
        assert torch.equal(value, expected)
        assert (other.tokens.grad[other.mask == 0] == 0).all()


def test_transport_is_free_for_the_same_words_in_another_order(random_states):
    """Word order is the plan's affair."""
    states = random_states(1, length=6, width=64)
    shuffled = replace(states, tokens=states.tokens[:, [0, 4, 2, 1, 3, 5]])
    assert alignment.build("transport")(View(states), View(shuffled)).item() == pytest.approx(0.0, abs=1e-3)


def test_what_opens_a_text_takes_no_part(random_states):
    """The view says how many tokens that are; a recipe may say otherwise."""
    source, target = (View(random_states(batch=3, length=8, seed=seed), prefix_tokens=4) for seed in (1, 2))
    by_view, by_recipe = alignment.build("transport", {}), alignment.build("transport", {"prefix_tokens": 2})

    assert by_view(source, target) == alignment.build("transport", {"prefix_tokens": 4})(source, target)
    assert by_recipe(source, target) != by_view(source, target)
