"""The same answers for code-switched copies, compared with the definition a distribution at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.core.records import Matching
from lingraft.training.consistency import Consistency, grouped_logsumexp


def naive(originals, copies, matching, *, over, temperature):
    """Loops over distributions, each added up from probabilities in double precision."""
    sides = []
    for logits, cells in ((originals, matching.originals), (copies, matching.copies)):
        logits = (logits if logits.dim() == 3 else logits[:, None]).double() / temperature
        tokens = [[] for _ in matching.example]
        for row, own in enumerate(cells.tolist()):
            for position, cell in enumerate(own):
                if cell >= 0:
                    tokens[cell].append(logits[row, position].exp())
        sides.append(torch.stack([torch.stack(found).sum(0) for found in tokens]))  # [U, C], not normalised
    if over == "outputs":
        distributions = [(one / one.sum(), other / other.sum()) for one, other in zip(*sides, strict=True)]
    else:
        distributions = []
        for example in matching.example.unique():
            of_example = matching.example == example
            distributions += [
                (one / one.sum(), other / other.sum())
                for one, other in zip(sides[0][of_example].T, sides[1][of_example].T, strict=True)
            ]
    both = [one_way(p.detach(), q) + one_way(q.detach(), p) for p, q in distributions]
    return temperature**2 * torch.stack(both).mean()


def one_way(teacher, student):
    """The divergence of one distribution from another."""
    return (teacher * (teacher / student).log()).sum()


def made(seed, *, width):
    """Logits of originals and copies of three examples, of which the second has nothing in common with its copy."""
    generator = torch.Generator().manual_seed(seed)
    matching = Matching(
        originals=torch.tensor([[-1, 0, 0, 1], [-1, -1, -1, -1], [1, 2, -1, -1], [-1, 3, 4, -1]]),
        copies=torch.tensor([[0, 1, -1, 2, 2], [-1, -1, -1, -1, -1], [-1, 4, 3, 3, -1]]),
        example=torch.tensor([0, 0, 0, 1, 1]),
    )
    # Padding beyond the last cell.
    return torch.randn(4, 7, width, generator=generator), torch.randn(3, 6, width, generator=generator), matching


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.sampled_from(["outputs", "positions"]), st.sampled_from([0.5, 1.0, 3.0]))
def test_loss_and_gradient_agree_with_the_definition(seed, over, temperature):
    """Probabilities of the tokens of a cell are added up; each side learns from the other as from a fixed teacher."""
    originals, copies, matching = made(seed, width=2)
    found, expected = [], []
    for losses, compute in (
        (found, lambda *sides: Consistency(over, 0.5, temperature)(*sides, matching)),
        (expected, lambda *sides: 0.5 * naive(*sides, matching, over=over, temperature=temperature)),
    ):
        sides = [logits.double().requires_grad_() for logits in (originals, copies)]
        loss = compute(*sides)
        loss.backward()
        losses += [loss.detach().double(), *(side.grad for side in sides)]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert found[1][1].abs().sum() == found[2][1].abs().sum() == 0  # in no cell
    assert found[1][:, 4:].abs().sum() == found[2][:, 5:].abs().sum() == 0  # padding


def test_classes_agree_with_the_definition():
    """Rows answer to rows, in another order, and a row without a copy is left out."""
    generator = torch.Generator().manual_seed(0)
    originals, copies = torch.randn(3, 4, generator=generator), torch.randn(2, 4, generator=generator)
    matching = Matching(torch.tensor([[1], [-1], [0]]), torch.tensor([[0], [1]]), torch.tensor([0, 1]))
    found = Consistency("outputs")(originals, copies, matching)
    distributions = list(zip(originals[[2, 0]].softmax(-1), copies.softmax(-1), strict=True))
    expected = torch.stack([one_way(p, q) + one_way(q, p) for p, q in distributions]).mean()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("over", ["outputs", "positions"])
def test_equal_predictions_cost_nothing_and_are_left_alone(over):
    """Neither side has a gradient where both say the same."""
    logits = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()
    cells = torch.tensor([[0, 1, -1], [2, 3, 4]])
    loss = Consistency(over)(logits, logits.detach(), Matching(cells, cells, torch.tensor([0, 0, 1, 1, 1])))
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-6, rtol=0.0)


def test_nothing_in_common_is_a_zero_that_can_be_differentiated():
    """A batch without a single cell costs nothing."""
    logits = torch.randn(1, 2, 2, requires_grad=True)
    none = torch.full((1, 2), -1)
    loss = Consistency("positions")(logits, logits, Matching(none, none, torch.zeros(0, dtype=torch.long)))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad.abs().sum() == 0.0


def test_large_logits_do_not_overflow():
    """Sums of probabilities stay finite where a single one would not."""
    scores = torch.tensor([[1000.0], [1000.0], [-1000.0]])
    found = grouped_logsumexp(scores, torch.tensor([0, 0, 1]), 2)
    torch.testing.assert_close(found, torch.tensor([[1000.0 + 0.6931472], [-1000.0]]))


def test_half_precision_is_computed_in_single():
    """A divergence of half-precision logits is that of the same numbers in single precision."""
    originals, copies, matching = made(5, width=2)
    half = Consistency("positions")(originals.bfloat16(), copies.bfloat16(), matching)
    torch.testing.assert_close(
        half, Consistency("positions")(originals.bfloat16().float(), copies.bfloat16().float(), matching)
    )
