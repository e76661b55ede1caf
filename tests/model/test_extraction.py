"""Full tuning kept as LoRA: the nearest matrices of low rank, and what becomes of the network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.backbones.digests import weights_digest
from lingraft.model.extraction import extract_lora, nearest_of_rank
from lingraft.model.freezing import freezing, unfrozen_names
from small_training import TARGET, parameters, shaken, small_model, small_world


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 9), st.integers(0, 99))
def test_no_matrix_of_the_rank_is_nearer(outputs, inputs, rank, seed):
    """What is missing are the smallest singular values (Eckart & Young, 1936); both sides are of one size."""
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(outputs, inputs, generator=generator)
    a, b = nearest_of_rank(matrix, rank)
    assert (a.shape, b.shape) == ((rank, inputs), (outputs, rank))
    missing = torch.linalg.svdvals(matrix)[rank:].square().sum().sqrt()
    torch.testing.assert_close((matrix - b @ a).norm(), missing, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(a @ a.T, b.T @ b, rtol=1e-4, atol=1e-4)
    assert not a[min(outputs, inputs) :].any()


def tuned(stack, **parts):
    """A network whose matrices have all moved."""
    names = unfrozen_names(freezing.build("extract").phases(stack))
    return shaken(small_model(stack, cut=0, unfrozen=names, adapter=None, **parts), size=0.05).eval()


def logits(model, world):
    """Of the target texts."""
    with torch.no_grad():
        return torch.cat([model(target.states, TARGET)[1] for _, target in world])


@pytest.fixture(scope="module")
def stack(tiny_backbone):
    """The frozen layers: three, of width 24."""
    return tiny_backbone.stack


def test_with_all_ranks_it_is_the_same_network(stack, tiny_backbone):
    """Nothing is lost, no copy is left, and the backbone is what it was; the prompt stays as it is."""
    world, model = small_world(stack, cut=0), tuned(stack)
    expected, before = logits(model, world), parameters(model)
    frozen = logits(small_model(stack, cut=0, adapter=None, prompt=None).eval(), world)
    assert extract_lora(model.adaptation, stack, 24) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(logits(model, world), expected, rtol=1e-3, atol=1e-4)
    assert (expected - frozen).abs().max() > 0.05
    now = parameters(model)
    assert {name for name in now if not name.startswith("adapter.")} == {
        name for name in before if not name.startswith("unfrozen.")
    }
    assert all(torch.equal(now[name], before[name]) for name in now.keys() & before.keys())
    assert weights_digest(stack) == tiny_backbone.weights_digest


def test_the_higher_the_rank_the_more_is_kept(stack):
    """Of each matrix its largest directions: the share is that of the squared singular values, over all matrices."""
    shares = []
    for rank in (1, 4, 24):
        model = tuned(stack)
        differences = [
            copy.detach() - stack.get_parameter(name.replace("/", "."))
            for name, copy in model.adaptation.unfrozen.items()
        ]
        values = [torch.linalg.svdvals(difference).square() for difference in differences]
        expected = sum(of[:rank].sum() for of in values) / sum(of.sum() for of in values)
        shares.append(extract_lora(model.adaptation, stack, rank))
        assert shares[-1] == pytest.approx(float(expected), rel=1e-4)
    assert shares == sorted(shares)
    assert shares[0] < 0.5


def test_what_has_not_moved_leaves_no_trace(stack):
    """A LoRA of zeros, of which everything is kept."""
    world = small_world(stack, cut=0)
    names = unfrozen_names(freezing.build("extract").phases(stack))
    model = small_model(stack, cut=0, unfrozen=names, adapter=None).eval()
    expected = logits(model, world)
    assert extract_lora(model.adaptation, stack, 2) == 1.0
    assert torch.equal(logits(model, world), expected)
