"""Contract of every registered alignment loss; each of ours against a slow plain reference."""

import math
from dataclasses import replace
from itertools import combinations
from statistics import median_low

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.core.records import States
from lingraft.training.alignment import AlignmentLoss, View, alignment
from lingraft.training.alignment.contrastive import cosine_matrix

ORDER_FREE = {"mmd"}
"""Losses that compare the two sides as a whole; true pairs cost them no less than shuffled ones."""


@pytest.fixture(params=list(alignment))
def name(request):
    """Each registered loss."""
    return request.param


def view(states, word_alignment=None):
    """A view with everything a loss may need; its logits hang on its states."""
    pooled = states.pooled()
    weights = torch.linspace(-2, 2, 3 * pooled.shape[1]).sin().view(pooled.shape[1], 3)
    return View(states, logits=pooled @ weights, word_alignment=word_alignment)


def views(source, target):
    """Both views of two sides; of a pair, each token that both have is aligned with its namesake and the first."""
    both = [
        (row, a, b)
        for row, (m, n) in enumerate(zip(source.mask.sum(1).tolist(), target.mask.sum(1).tolist(), strict=True))
        for a in range(m)
        for b in {0, min(a, n - 1)}
    ]
    return view(source), view(target, torch.tensor(both))


def cost(loss, source, target):
    """The loss of states."""
    return loss(*views(source, target))


# ---- References, in plain Python -------------------------------------------------------------------


def plain_tokens(states):
    """Real tokens of each text, as lists of numbers."""
    return [
        [token for token, keep in zip(row, mask, strict=True) if keep]
        for row, mask in zip(states.tokens.double().tolist(), states.mask.tolist(), strict=True)
    ]


def plain_pooled(states):
    """Mean over real tokens, as lists of numbers."""
    return [[sum(column) / len(tokens) for column in zip(*tokens, strict=True)] for tokens in plain_tokens(states)]


def plain_dot(a, b):
    """Inner product of two lists of numbers."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def plain_cosine(a, b):
    """The cosine of two lists of numbers."""
    return plain_dot(a, b) / math.sqrt(plain_dot(a, a)) / math.sqrt(plain_dot(b, b))


def plain_mse(source, target):
    """Mean squared difference."""
    source, target = plain_pooled(source.states), plain_pooled(target.states)
    differences = [(x - y) ** 2 for a, b in zip(source, target, strict=True) for x, y in zip(a, b, strict=True)]
    return sum(differences) / len(differences)


def plain_cosine_loss(source, target):
    """Mean of one minus the cosine."""
    source, target = plain_pooled(source.states), plain_pooled(target.states)
    return sum(1 - plain_cosine(a, b) for a, b in zip(source, target, strict=True)) / len(source)


def plain_contrastive(source, target, temperature=0.1):
    """InfoNCE from targets to sources and from sources to targets, one row at a time."""
    source, target = plain_pooled(source.states), plain_pooled(target.states)
    total = 0.0
    for one, other in ((target, source), (source, target)):
        for i, row in enumerate(one):
            weights = [math.exp(plain_cosine(row, column) / temperature) for column in other]
            total -= math.log(weights[i] / sum(weights))
    return total / (2 * len(source))


def plain_prediction(source, target, temperature=2.0):
    """Sum of p log(p / q) over classes, p the source's softened prediction, times the temperature's square."""
    total = 0.0
    for ours, theirs in zip(target.logits.tolist(), source.logits.tolist(), strict=True):
        p, q = ([math.exp(x / temperature) for x in row] for row in (theirs, ours))
        total += sum(x / sum(p) * math.log(x / sum(p) / (y / sum(q))) for x, y in zip(p, q, strict=True))
    return temperature**2 * total / len(source.logits)


def plain_words(source, target):
    """Mean of one minus the cosine over aligned words."""
    ours, theirs = plain_tokens(target.states), plain_tokens(source.states)
    costs = [1 - plain_cosine(ours[row][b], theirs[row][a]) for row, a, b in target.word_alignment.tolist()]
    return sum(costs) / len(costs)


def plain_contrastive_words(source, target, temperature=0.1):
    """InfoNCE over all aligned words of the batch, from targets to sources and back, one word at a time."""
    ours, theirs = plain_tokens(target.states), plain_tokens(source.states)
    pairs = [(theirs[row][a], ours[row][b]) for row, a, b in target.word_alignment.tolist()]
    total = 0.0
    for one, other in ((0, 1), (1, 0)):
        for i, pair in enumerate(pairs):
            weights = [math.exp(plain_cosine(pair[one], negative[other]) / temperature) for negative in pairs]
            total -= math.log(weights[i] / sum(weights))
    return total / (2 * len(pairs))


def plain_distance_from_start(source, target):
    """Mean of one minus the cosine over content tokens: without the first and the last, where that leaves any."""
    frozen, ours = ([t[1:-1] or t for t in plain_tokens(side.states)] for side in (source, target))
    costs = [1 - plain_cosine(a, b) for x, y in zip(ours, frozen, strict=True) for a, b in zip(x, y, strict=True)]
    return sum(costs) / len(costs)


def plain_cka(source, target):
    """One minus |X'Y|² / (|X'X| |Y'Y|) of the centred matrices, as Kornblith et al. write it."""
    x, y = (numpy.array(plain_pooled(side.states)) for side in (source, target))
    x, y = x - x.mean(0), y - y.mean(0)
    if len(x) == 1:
        return 1.0
    return 1 - numpy.linalg.norm(x.T @ y) ** 2 / numpy.linalg.norm(x.T @ x) / numpy.linalg.norm(y.T @ y)


def plain_mmd(source, target, multiples=(0.25, 0.5, 1, 2, 4)):
    """Mean kernel within the sides minus that between them, each point with each."""

    def distance(a, b):
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))

    source, target = plain_pooled(source.states), plain_pooled(target.states)
    median = median_low(distance(a, b) for a, b in combinations(source + target, 2))

    def mean(one, other):
        kernel = [math.exp(-distance(a, b) / (2 * m * median)) for a in one for b in other for m in multiples]
        return sum(kernel) / len(kernel)

    return mean(source, source) + mean(target, target) - 2 * mean(source, target)


def plain_plan(cost, epsilon, iterations):
    """Sinkhorn as Cuturi writes it: rows and columns of exp(-cost / epsilon) scaled in turn."""
    kernel = numpy.exp(-cost / epsilon)
    v = numpy.ones(cost.shape[1])
    for _ in range(iterations):
        u = 1 / cost.shape[0] / (kernel @ v)
        v = 1 / cost.shape[1] / (kernel.T @ u)
    return u[:, None] * kernel * v


def plain_transport(source, target, epsilon=0.05, iterations=30):
    """Transport cost of each pair without its first and last tokens, where that leaves any."""
    costs = []
    for sides in zip(plain_tokens(source.states), plain_tokens(target.states), strict=True):
        theirs, ours = (tokens[1:-1] or tokens for tokens in sides)
        cost = numpy.array([[1 - plain_cosine(a, b) for b in ours] for a in theirs])
        costs.append((cost * plain_plan(cost, epsilon, iterations)).sum())
    return sum(costs) / len(costs)


REFERENCES = {
    "mse": plain_mse,
    "cosine": plain_cosine_loss,
    "contrastive": plain_contrastive,
    "prediction": plain_prediction,
    "words": plain_words,
    "contrastive_words": plain_contrastive_words,
    "cka": plain_cka,
    "mmd": plain_mmd,
    "transport": plain_transport,
}


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
    both = views(source, target)
    assert alignment.build(kind)(*both).item() == pytest.approx(REFERENCES[kind](*both), rel=1e-3, abs=1e-4)


# ---- Contract --------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_loss_is_a_scalar_with_a_finite_gradient(name, batch, random_states):
    """The student learns from it and the teacher does not; batches of one are no exception."""
    source, target = random_states(batch, seed=0), random_states(batch, seed=1)
    source.tokens.requires_grad_()
    target.tokens.requires_grad_()
    value = cost(alignment.build(name), source, target)
    value.backward()
    assert value.dim() == 0
    assert math.isfinite(value.item())
    assert target.tokens.grad.isfinite().all()
    flat = batch == 1 or (batch == 2 and name == "cka")  # any two sentences have the same geometry
    assert flat or target.tokens.grad.abs().sum() > 0
    assert source.tokens.grad is None


@pytest.mark.parametrize("fill", [None, 0.0, 1e-30, 1e4])
def test_the_gradient_is_finite_where_rows_coincide(name, fill, random_states):
    """A row that equals its teacher, all rows alike, zeros, tiny and huge states: no division by zero."""
    source = random_states(seed=3)
    if fill is not None:
        source = replace(source, tokens=torch.full_like(source.tokens, fill))
    target = replace(source, tokens=source.tokens.clone().requires_grad_())
    value = cost(alignment.build(name), source, target)
    value.backward()
    assert math.isfinite(value.item())
    assert target.tokens.grad.isfinite().all()


def test_padding_is_ignored(name, random_states):
    """Whatever stands in padding costs nothing and learns nothing."""
    source, target = random_states(5, seed=0), random_states(5, seed=1)
    loss = alignment.build(name)
    real = target.mask.bool().unsqueeze(-1)
    noisy = replace(target, tokens=torch.where(real, target.tokens, 1e3).requires_grad_())
    value = cost(loss, source, noisy)
    value.backward()
    torch.testing.assert_close(value, cost(loss, source, target))
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
    torch.testing.assert_close(cost(loss, source, longer), cost(loss, source, target))


@pytest.mark.parametrize("seed", range(5))
def test_true_pairs_cost_no_more_than_shuffled_ones(name, seed, random_states):
    """Translations, noisy as they are, are cheaper in their order than in another."""
    source = random_states(6, seed=seed)
    noise = random_states(6, seed=100 + seed)
    target = replace(source, tokens=source.tokens + 0.2 * noise.tokens)
    loss = alignment.build(name)
    true, shuffled = cost(loss, source, target), cost(loss, source, target.take([1, 2, 3, 4, 5, 0]))
    assert true <= shuffled + 1e-6 if name in ORDER_FREE else true < shuffled


def test_a_step_down_the_gradient_costs_less(name, random_states):
    """What the loss teaches brings the sides together."""
    source, target = random_states(6, seed=0), random_states(6, seed=1)
    loss = alignment.build(name)
    target.tokens.requires_grad_()
    before = cost(loss, source, target)
    (gradient,) = torch.autograd.grad(before, target.tokens)
    moved = replace(target, tokens=(target.tokens - 0.1 * gradient / gradient.norm()).detach())
    assert cost(loss, source, moved) < before


# ---- Ours ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mse", "cosine", "prediction", "cka", "mmd"])
def test_equal_states_cost_nothing(name, random_states):
    """A student on its teacher's spot has nothing to learn."""
    states = random_states(6)
    assert cost(alignment.build(name), states, states).item() == pytest.approx(0.0, abs=1e-6)


def test_virtual_tokens_are_no_words(name, random_states):
    """A student with a prompt in front costs what it costs without; aligned words are counted from the text."""
    source, target = random_states(5, seed=0), random_states(5, seed=1)
    prompted = replace(
        target,
        tokens=torch.cat([torch.full((5, 2, 8), 9.0), target.tokens], dim=1),
        mask=torch.cat([torch.ones(5, 2, dtype=torch.long), target.mask], dim=1),
        prompt_length=2,
    )
    loss = alignment.build(name)
    source, target = views(source, target)
    torch.testing.assert_close(loss(source, view(prompted, target.word_alignment)), loss(source, target))


@pytest.mark.parametrize("name", sorted(set(REFERENCES) - {"contrastive", "cka", "mmd", "words", "contrastive_words"}))
def test_a_mean_over_pairs_is_that_of_the_pairs_alone(name, random_states):
    """Losses without neighbours do not depend on who else is in the batch."""
    source, target = random_states(5, seed=0), random_states(5, seed=1)
    loss = alignment.build(name)
    alone = torch.stack([cost(loss, source.take([i]), target.take([i])) for i in range(5)])
    torch.testing.assert_close(cost(loss, source, target), alone.mean())


@pytest.mark.parametrize("name", REFERENCES)
@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(5)))
def test_the_order_of_pairs_does_not_matter(name, order):
    """A batch is a set of pairs."""
    generator = torch.Generator().manual_seed(0)
    source, target = (
        States(torch.randn(5, 4, 6, generator=generator), torch.ones(5, 4, dtype=torch.long), layer=0) for _ in range(2)
    )
    loss = alignment.build(name)
    torch.testing.assert_close(cost(loss, source.take(order), target.take(order)), cost(loss, source, target))


@pytest.mark.parametrize(("name", "lacks"), [("prediction", "logits"), ("words", "word_alignment")])
def test_a_view_that_lacks_something_is_refused(name, lacks, random_states):
    """What the caller forgot is said in one sentence."""
    states = random_states()
    with pytest.raises(ValueError, match=f"give .* its word_alignment|give .* their {lacks}"):
        alignment.build(name)(View(states), View(states))


def test_a_loss_says_what_it_needs():
    """Nothing is computed that no loss looks at."""
    needs = {name: set(alignment.build(name).needs) for name in REFERENCES}
    assert {name: need for name, need in needs.items() if need} == {
        "prediction": {"predictions"},
        "words": {"tokens", "word_alignment"},
        "contrastive_words": {"tokens", "word_alignment"},
        "transport": {"tokens"},
    }


def test_contrastive_is_cross_entropy_of_cosines(random_states):
    """Three sentences by hand: orthogonal teachers, students on the diagonal between the first two."""
    teachers = States(torch.eye(3).unsqueeze(1), torch.ones(3, 1, dtype=torch.long), layer=0)
    students = replace(teachers, tokens=torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]).unsqueeze(1))
    half, one = math.exp(0.5**0.5), math.exp(1.0)
    rows = 2 * math.log((2 * half + 1) / half) + math.log((one + 2) / one)
    value = cost(alignment.build("contrastive", {"temperature": 1.0}), teachers, students)
    assert value.item() == pytest.approx(rows / 3, rel=1e-5)  # the columns cost the same: the matrix is symmetric


def test_contrastive_is_log_of_the_batch_where_all_look_alike(random_states):
    """Nothing to tell sentences apart by costs as much as guessing."""
    states = random_states(6)
    alike = replace(states, tokens=torch.ones_like(states.tokens))
    assert cost(alignment.build("contrastive"), alike, alike).item() == pytest.approx(math.log(6), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("contrastive", {"temperature": 0.5}),
        ("contrastive_words", {"temperature": 0.5}),
        ("prediction", {"temperature": 1.0}),
        ("mmd", {"multiples": [0.5, 3.0]}),
        ("transport", {"epsilon": 0.2, "iterations": 3}),
    ],
)
def test_a_loss_takes_its_options(name, options, random_states):
    """The options reach the formula."""
    both = views(random_states(5, seed=0), random_states(5, seed=1))
    value = alignment.build(name, options)(*both).item()
    assert value == pytest.approx(REFERENCES[name](*both, **options), rel=1e-4)
    assert value != pytest.approx(REFERENCES[name](*both), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("contrastive", "temperature", 0),
        ("contrastive_words", "temperature", 0),
        ("words", "anchor", -1),
        ("contrastive", "temperature", float("nan")),
        ("prediction", "temperature", -1),
        ("mmd", "multiples", []),
        ("transport", "epsilon", 0),
        ("transport", "iterations", 0),
    ],
)
def test_an_impossible_option_is_refused(name, option, value):
    """Dividing by zero is found before a model is loaded."""
    (problem,) = alignment.check(name, {option: value}, "alignment.0")
    assert problem.startswith(f"alignment.0.{option}: ")


def test_cosines_of_known_vectors():
    """Right angles give 0, opposite directions -1, whatever the lengths."""
    rows = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    torch.testing.assert_close(
        cosine_matrix(rows, torch.tensor([[1.0, 0.0], [-5.0, 0.0], [1.0, 1.0]])),
        torch.tensor([[1.0, -1.0, 0.5**0.5], [0.0, 0.0, 0.5**0.5]]),
    )


def test_softer_predictions_keep_the_size_of_the_gradient():
    """Twice the temperature, the same order of gradient: what the square in front is for."""
    teacher, student = torch.tensor([[0.2, -0.1, 0.0]]), torch.tensor([[0.0, 0.1, 0.1]])
    states = States(torch.zeros(1, 1, 3), torch.ones(1, 1), layer=0)
    sizes = []
    for temperature in (2.0, 8.0):
        logits = student.clone().requires_grad_()
        loss = alignment.build("prediction", {"temperature": temperature})
        loss(View(states, teacher), View(states, logits)).backward()
        sizes.append(logits.grad.norm().item())
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


@pytest.mark.parametrize("name", ["words", "contrastive_words"])
def test_no_aligned_words_cost_nothing_and_can_be_differentiated(name, random_states):
    """A batch in which nothing was aligned is no reason to stop."""
    source, target = random_states(), random_states(seed=1)
    target.tokens.requires_grad_()
    value = alignment.build(name)(View(source), View(target, word_alignment=torch.zeros(0, 3, dtype=torch.long)))
    value.backward()
    assert value.item() == 0.0
    assert (target.tokens.grad == 0).all()


def test_contrastive_words_is_cross_entropy_of_cosines():
    """Two aligned words in two rows by hand: a right angle between the teachers, each student on its teacher."""
    teachers = States(torch.eye(2).unsqueeze(1), torch.ones(2, 1, dtype=torch.long), layer=0)
    aligned = torch.tensor([[0, 0, 0], [1, 0, 0]])
    loss = alignment.build("contrastive_words", {"temperature": 1.0})
    value = loss(View(teachers), View(teachers, word_alignment=aligned))
    assert value.item() == pytest.approx(math.log(1 + math.exp(-1.0)), rel=1e-5)
    swapped = replace(teachers, tokens=teachers.tokens.flip(0))
    value = loss(View(teachers), View(swapped, word_alignment=aligned))
    assert value.item() == pytest.approx(math.log(1 + math.exp(1.0)), rel=1e-5)


@pytest.mark.parametrize("name", ["words", "contrastive_words"])
def test_an_anchor_holds_each_token_of_the_source_where_it_was(name, random_states):
    """Content tokens alone, padding left out, times its weight; what does not move costs nothing."""
    frozen = random_states(5, seed=0)
    moved = replace(frozen, tokens=frozen.tokens + random_states(5, seed=1).tokens)
    anchor = alignment.build(name, {"anchor": 2.5}).of_source
    both = View(frozen), View(moved)
    assert anchor.needs == {"tokens"}
    assert anchor(*both).item() == pytest.approx(2.5 * plain_distance_from_start(*both), rel=1e-4)
    assert anchor(View(frozen), View(frozen)).item() == pytest.approx(0.0, abs=1e-6)
    moved.tokens.requires_grad_()
    anchor(View(frozen), View(moved)).backward()
    assert (moved.tokens.grad[~moved.mask.bool()] == 0).all()
    assert moved.tokens.grad[:, 1].abs().sum() > 0


def test_the_source_s_own_texts_have_the_loss_on_pooled_states_or_an_anchor():
    """What compares words or predictions of a translation leaves them alone, unless it is told to hold them."""
    own = {name: alignment.build(name).of_source for name in REFERENCES}
    pooled = {"mse", "cosine", "contrastive", "cka", "mmd"}
    assert {name for name, loss in own.items() if loss is not None} == pooled
    assert all(own[name].compute is not None and not own[name].needs for name in pooled)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.floats(0.01, 100))
def test_cka_is_blind_to_rotation_scale_and_shift(seed, scale):
    """Only the geometry among the sentences counts."""
    generator = torch.Generator().manual_seed(seed)
    source, target = (
        States(torch.randn(6, 1, 5, generator=generator), torch.ones(6, 1, dtype=torch.long), layer=0) for _ in range(2)
    )
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=generator)).Q
    moved = replace(target, tokens=scale * target.tokens @ rotation + 3 * scale)
    loss = alignment.build("cka")
    torch.testing.assert_close(cost(loss, source, moved), cost(loss, source, target), rtol=1e-3, atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(6)), st.floats(0.1, 2.0))
def test_mmd_is_blind_to_order_and_sees_a_shift(order, shift):
    """Zero for the same sentences in any order, positive where one side lies elsewhere, and symmetric."""
    states = States(
        torch.randn(6, 1, 5, generator=torch.Generator().manual_seed(0)), torch.ones(6, 1, dtype=torch.long), layer=0
    )
    shuffled, moved = states.take(order), replace(states, tokens=states.tokens + shift)
    loss = alignment.build("mmd")
    assert cost(loss, states, shuffled).item() == pytest.approx(0.0, abs=1e-6)
    assert cost(loss, shuffled, moved) > 1e-3
    torch.testing.assert_close(cost(loss, moved, shuffled), cost(loss, shuffled, moved))


def test_a_loss_from_outside_is_a_function_in_a_wrapper(random_states):
    """The gradient to the teacher is stopped for every loss, also one that forgets."""
    source, target = random_states(seed=0), random_states(seed=1)
    source.tokens.requires_grad_()
    target.tokens.requires_grad_()
    loss = AlignmentLoss(lambda one, other: (one.states.pooled() - other.states.pooled()).abs().mean())
    loss(View(source), View(target)).backward()
    assert source.tokens.grad is None
    assert target.tokens.grad.abs().sum() > 0
