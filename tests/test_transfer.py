"""The frame of comparison and the weighted sum of alignment losses."""

import pytest
import torch

from lingraft.alignment import alignment
from lingraft.config import WeightedBlock
from lingraft.errors import ConfigError
from lingraft.records import States
from lingraft.transfer import Frame, Transfer, as_states


@pytest.fixture
def teacher():
    """Pooled states that crowd in one corner, as sentence embeddings do."""
    return 5.0 + 0.1 * torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


def blocks(*named):
    """Loss blocks with weights."""
    return [WeightedBlock.model_validate({"name": name, "weight": weight}) for name, weight in named]


def test_a_frame_centres_and_scales(teacher):
    """In their own frame states have mean zero and, over all dimensions, unit mean square."""
    frame = Frame.of(teacher)
    framed = frame(as_states(teacher, 3)).pooled()
    torch.testing.assert_close(framed.mean(0), torch.zeros(8), atol=1e-4, rtol=0)
    assert framed.square().mean().item() == pytest.approx(1.0, rel=1e-3)
    assert frame.scale.dim() == 0


def test_a_frame_of_equal_states_does_not_divide_by_zero():
    """One sentence, or the same one many times, has no spread."""
    framed = Frame.of(torch.ones(3, 4))(as_states(torch.ones(3, 4), 0))
    assert torch.equal(framed.tokens, torch.zeros(3, 1, 4))


def test_framing_and_pooling_commute(teacher, random_states):
    """The pool of framed tokens is the framed pool, padding left out."""
    states, frame = random_states(), Frame.of(teacher)
    torch.testing.assert_close(frame(states).pooled(), (states.pooled() - frame.mean) / frame.scale)


def test_pooled_vectors_as_states_pool_to_themselves(teacher):
    """A vector is a text of one token."""
    states = as_states(teacher, 4)
    assert torch.equal(states.pooled(), teacher)
    assert (states.layer, states.tokens.shape) == (4, (6, 1, 8))


def test_the_sum_is_weighted(teacher):
    """Two losses count as their weights say, each in the teacher's frame."""
    frame = Frame.of(teacher)
    student = States(torch.randn(6, 3, 8), torch.ones(6, 3, dtype=torch.long), layer=2)
    total = Transfer(blocks(("mse", 0.5), ("contrastive", 2.0)), frame)(student, teacher)
    source, target = frame(as_states(teacher, 2)), frame(student)
    expected = 0.5 * alignment.build("mse")(source, target) + 2.0 * alignment.build("contrastive")(source, target)
    torch.testing.assert_close(total, expected)


def test_mse_in_the_frame_by_hand(teacher):
    """Distance over spread: what one unit of cost means for any backbone."""
    student = States(torch.randn(6, 3, 8), torch.ones(6, 3, dtype=torch.long), layer=2)
    value = Transfer(blocks(("mse", 1.0)), Frame.of(teacher))(student, teacher)
    spread = (teacher - teacher.mean(0)).square().mean()
    torch.testing.assert_close(value, (student.tokens.mean(1) - teacher).square().mean() / spread)


def test_the_cost_does_not_depend_on_the_backbone_s_units(teacher):
    """States a hundred times larger and far from the origin cost the same."""
    student = States(torch.randn(6, 3, 8), torch.ones(6, 3, dtype=torch.long), layer=2)
    weights = blocks(("mse", 1.0), ("cosine", 1.0), ("contrastive", 1.0))
    near = Transfer(weights, Frame.of(teacher))(student, teacher)
    moved = States(student.tokens * 100 + 7, student.mask, layer=2)
    far = Transfer(weights, Frame.of(teacher * 100 + 7))(moved, teacher * 100 + 7)
    torch.testing.assert_close(near, far, rtol=1e-3, atol=1e-3)


def test_only_the_student_learns(teacher):
    """The teacher is frozen, and a student on its spot has nothing left to learn from `mse`."""
    tokens = teacher.unsqueeze(1).clone().requires_grad_()
    student = States(tokens, torch.ones(6, 1, dtype=torch.long), layer=0)
    value = Transfer(blocks(("mse", 1.0)), Frame.of(teacher))(student, teacher)
    value.backward()
    assert value.item() == 0.0
    assert torch.equal(tokens.grad, torch.zeros_like(tokens))
    assert not teacher.requires_grad


def test_no_losses_are_no_cost(teacher):
    """An empty sum is zero."""
    student = as_states(teacher, 0)
    assert Transfer([], Frame.of(teacher))(student, teacher).item() == 0.0


def test_unknown_losses_are_refused(teacher):
    """A name that is not registered is refused with the nearest one."""
    with pytest.raises(ConfigError, match="did you mean 'mse'"):
        Transfer(blocks(("msee", 1.0)), Frame.of(teacher))


def test_a_frame_moves_with_the_model(teacher):
    """Mean and unit go to the device together."""
    frame = Frame.of(teacher).to(torch.device("meta"))
    assert {frame.mean.device.type, frame.scale.device.type} == {"meta"}
