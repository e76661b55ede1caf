"""How states are standardised, and what each alignment loss is shown."""

import re
from dataclasses import replace

import pytest
import torch

from lingraft.backbones.walk import at_layer, frozen_pooled, step
from lingraft.core.errors import ConfigError
from lingraft.core.records import Batch, States
from lingraft.model.standardiser import Standardiser
from lingraft.recipe.blocks import WeightedBlock
from lingraft.training.alignment import AlignmentLoss, View, alignment
from lingraft.training.alignment_terms import AlignmentTerms, Term, as_states, fit_standardisers
from small_training import SOURCE, TARGET, shaken, small_model, small_transfer, small_world
from tiny import REPOSITORY

TOP = 2  # the layer of invented states
TAUGHT = [0, 2, 3]  # rows of a target batch that have a teacher


@pytest.fixture
def teacher():
    """Pooled states that crowd in one corner, as sentence embeddings do."""
    return 5.0 + 0.1 * torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def student():
    """Their translations' states, of three tokens."""
    tokens = torch.randn(6, 3, 8, generator=torch.Generator().manual_seed(1))
    return States(tokens, torch.ones(6, 3, dtype=torch.long), layer=TOP)


def blocks(*named):
    """Loss blocks with weights."""
    return [WeightedBlock.model_validate({"name": name, "weight": weight}) for name, weight in named]


def losses(named, standardiser, student, teacher):
    """The losses of a batch whose rows all have a teacher, at the top."""
    count = len(teacher)
    batch = Batch(student, TARGET, torch.full((count,), -100), teacher, torch.ones(count, dtype=torch.bool))
    return AlignmentTerms(blocks(*named), {TOP: standardiser})(None, batch, {TOP: student}, torch.zeros(count, 2), None)


# ---- Standardisers ---------------------------------------------------------------------------------


def test_a_frame_centres_and_scales(teacher):
    """By their own standardiser states have mean zero and, over all dimensions, trial mean square."""
    standardiser = Standardiser.fit(teacher)
    standardised = standardiser(as_states(teacher, 3)).pooled()
    torch.testing.assert_close(standardised.mean(0), torch.zeros(8), atol=1e-4, rtol=0)
    assert standardised.square().mean().item() == pytest.approx(1.0, rel=1e-3)
    assert standardiser.scale.dim() == 0


def test_a_frame_of_equal_states_does_not_divide_by_zero():
    """One sentence, or the same one many times, has no spread."""
    standardised = Standardiser.fit(torch.ones(3, 4))(as_states(torch.ones(3, 4), 0))
    assert torch.equal(standardised.tokens, torch.zeros(3, 1, 4))


def test_framing_and_pooling_commute(teacher, random_states):
    """The pool of standardised tokens is the standardised pool, padding left out."""
    states, standardiser = random_states(), Standardiser.fit(teacher)
    torch.testing.assert_close(
        standardiser(states).pooled(), (states.pooled() - standardiser.mean) / standardiser.scale
    )


def test_a_frame_moves_with_the_model(teacher):
    """Mean and trial go to the device together."""
    standardiser = Standardiser.fit(teacher).to(torch.device("meta"))
    assert {standardiser.mean.device.type, standardiser.scale.device.type} == {"meta"}


def test_pooled_vectors_as_states_pool_to_themselves(teacher):
    """A vector is a text of one token."""
    states = as_states(teacher, 4)
    assert torch.equal(states.pooled(), teacher)
    assert (states.layer, states.tokens.shape) == (4, (6, 1, 8))


@pytest.mark.parametrize("cut", [-1, 1])
def test_standardisers_of_layers_are_those_of_frozen_states(stack, cut):
    """Mean and spread at each layer, over all batches, from any cut and whatever the trained parts are."""
    found = [source.states for source, _ in small_world(stack, cut=cut)]
    standardisers = fit_standardisers(shaken(small_model(stack)), found, [2, 3])
    assert sorted(standardisers) == [2, 3]
    pooled = {2: torch.cat([at_layer(stack, s, 2).pooled() for s in found])}
    pooled[3] = torch.cat([frozen_pooled(stack, s) for s in found])
    for layer, standardiser in standardisers.items():
        torch.testing.assert_close(standardiser.mean, pooled[layer].mean(0), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(standardiser.scale, pooled[layer].std(0, correction=0).square().mean().sqrt())


# ---- The losses at the top -------------------------------------------------------------------------


def test_each_loss_is_told_apart_and_without_its_weight(teacher, student):
    """Losses come in the recipe's order, each in the teacher's scale; weights are for whoever adds them up."""
    standardiser = Standardiser.fit(teacher)
    found = losses([("mse", 0.5), ("contrastive", 2.0)], standardiser, student, teacher)
    source, target = View(standardiser(as_states(teacher, TOP))), View(standardiser(student))
    torch.testing.assert_close(found, [alignment.build(name)(source, target) for name in ("mse", "contrastive")])
    assert [term.weight for term in AlignmentTerms(blocks(("mse", 0.5)), {TOP: standardiser}).terms] == [0.5]


def test_mse_in_the_frame_by_hand(teacher, student):
    """Distance over spread: what one trial of cost means for any backbone."""
    (value,) = losses([("mse", 1.0)], Standardiser.fit(teacher), student, teacher)
    spread = (teacher - teacher.mean(0)).square().mean()
    torch.testing.assert_close(value, (student.tokens.mean(1) - teacher).square().mean() / spread)


def test_the_cost_does_not_depend_on_the_backbone_s_units(teacher, student):
    """States a hundred times larger and far from the origin cost the same."""
    named = [("mse", 1.0), ("cosine", 1.0), ("contrastive", 1.0)]
    near = losses(named, Standardiser.fit(teacher), student, teacher)
    moved = replace(student, tokens=student.tokens * 100 + 7)
    far = losses(named, Standardiser.fit(teacher * 100 + 7), moved, teacher * 100 + 7)
    torch.testing.assert_close(near, far, rtol=1e-3, atol=1e-3)


def test_only_the_student_learns(teacher):
    """The teacher is frozen, and a student on its spot has nothing left to learn from `mse`."""
    tokens = teacher.unsqueeze(1).clone().requires_grad_()
    student = States(tokens, torch.ones(6, 1, dtype=torch.long), layer=TOP)
    (value,) = losses([("mse", 1.0)], Standardiser.fit(teacher), student, teacher)
    value.backward()
    assert value.item() == 0.0
    assert torch.equal(tokens.grad, torch.zeros_like(tokens))
    assert not teacher.requires_grad


def test_no_losses_are_no_cost(teacher, student):
    """Nothing is compared."""
    assert losses([], Standardiser.fit(teacher), student, teacher) == []


def test_unknown_losses_are_refused(teacher):
    """A name that is not registered is refused with the nearest one."""
    with pytest.raises(ConfigError, match="did you mean 'mse'"):
        AlignmentTerms(blocks(("msee", 1.0)), {TOP: Standardiser.fit(teacher)})


# ---- What a loss is shown --------------------------------------------------------------------------


@pytest.fixture
def model(stack):
    """A model amid training, dropout off."""
    return shaken(small_model(stack, dropout=0.0), size=0.3)


class Spy:
    """Alignment losses that note what they are shown."""

    def __init__(self, stack, world, *wanted):
        self.terms = small_transfer(stack, world, *({"name": "mse", "layer": layer} for layer, _ in wanted))
        self.shown = {}
        self.terms.terms = tuple(
            Term(f"{i}", 1.0, layer or stack.num_layers, AlignmentLoss(self.noting(i), frozenset(needs)))
            for i, (layer, needs) in enumerate(wanted)
        )

    def noting(self, i):
        """A loss that writes down its views."""

        def compute(source, target):
            self.shown[i] = source, target
            return (target.states.pooled() - source.states.pooled()).square().sum()

        return compute

    def __call__(self, model, batch, predict=None):
        """The losses of a batch."""
        visited = {}
        _, logits = model(batch.states, batch.language, visited)
        return self.terms(model, batch, visited, logits, predict)


@pytest.mark.parametrize("cut", [-1, 0, 1])
def test_a_loss_at_a_layer_compares_the_states_there(stack, cut):
    """Adapted target states against frozen states of the translation, standardised by those of the layer: by hand."""
    world = small_world(stack, cut=cut)
    model = shaken(small_model(stack, cut=1, dropout=0.0), size=0.3)
    terms = small_transfer(stack, world, {"name": "mse", "layer": 2}, {"name": "cosine"})
    target, visited = world[0][1], {}
    _, logits = model(target.states, TARGET, visited)
    at_two, _ = terms(model, target, visited, logits, None)
    parts = model.adaptation
    with torch.no_grad():
        below = at_layer(stack, target.states, 1)
        hidden = step(stack, 1, below, parts.prompt(1, TARGET)).tokens
        ours = replace(below, tokens=parts.adapter(1, TARGET, hidden)).pooled()[TAUGHT]
        theirs = at_layer(stack, target.source, 2).pooled()
        home = torch.cat([at_layer(stack, source.states, 2).pooled() for source, _ in world])
        spread = (home - home.mean(0)).square().mean()
    torch.testing.assert_close(at_two, (ours - theirs).square().mean() / spread, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("wanted", "inner_layers", "teacher_forward"),
    [
        ([{"name": "mse"}, {"name": "prediction"}], False, False),
        ([{"name": "mse", "layer": 3}], False, False),
        ([{"name": "mse", "layer": 2}], True, True),
        ([{"name": "words"}], False, True),
    ],
)
def test_states_before_the_top_are_asked_for_only_if_looked_at(stack, world, wanted, inner_layers, teacher_forward):
    """Losses at the top need no states on the way, and on pooled states no forward pass of the teacher."""
    terms = small_transfer(stack, world, *wanted)
    assert (terms.needs_inner_layers, terms.needs_teacher_forward) == (inner_layers, teacher_forward)


def test_a_loss_on_tokens_sees_the_frozen_forward_pass_of_the_translation(stack, world, model):
    """Word by word, at the top and on the way, without a gradient; the target's rows are those with a teacher."""
    spy, target = Spy(stack, world, (None, {"tokens"}), (2, {"tokens"})), world[0][1]
    spy(model, target)
    for i, layer in ((0, 3), (1, 2)):
        source, mine = spy.shown[i]
        with torch.no_grad():
            states = at_layer(stack, target.source, layer)
        torch.testing.assert_close(source.states.tokens, spy.terms.standardisers[layer](states).tokens)
        assert torch.equal(source.states.mask, target.source.mask)
        assert not source.states.tokens.requires_grad
        assert mine.states.tokens.requires_grad
        assert mine.states.tokens.shape == (3, 6, stack.width)


def test_a_loss_on_pooled_states_runs_no_teacher(stack, world, model, monkeypatch):
    """The cached state is all there is of the teacher: one token per row."""
    spy, target = Spy(stack, world, (None, ())), world[0][1]
    forwards = []
    original = type(model).run_layers
    monkeypatch.setattr(
        type(model),
        "run_layers",
        lambda *a, adapters_enabled=True, **o: (
            forwards.append(adapters_enabled) or original(*a, adapters_enabled=adapters_enabled, **o)
        ),
    )
    spy(model, target)
    assert forwards == [True]
    source, _ = spy.shown[0]
    standardiser = spy.terms.standardisers[3]
    assert source.states.tokens.shape == (3, 1, stack.width)
    torch.testing.assert_close(
        source.states.pooled(), (target.teacher[TAUGHT] - standardiser.mean) / standardiser.scale
    )


def test_a_loss_on_predictions_gets_the_teacher_s_logits_detached(stack, world, model):
    """Those of the translations' states at the cut; the target's are the network's own, of the rows with a teacher."""
    spy, target, asked = Spy(stack, world, (None, {"predictions"}), (None, ())), world[0][1], []
    said = torch.randn(3, 2, requires_grad=True)
    visited = {}
    _, logits = model(target.states, TARGET, visited)
    spy.terms(model, target, visited, logits, lambda states: asked.append(states) or said)
    source, mine = spy.shown[0]
    assert [states is target.source for states in asked] == [True]
    assert torch.equal(source.logits, said)
    assert not source.logits.requires_grad
    assert torch.equal(mine.logits, logits[TAUGHT])
    assert mine.logits.requires_grad
    assert spy.shown[1][0].logits is None


def test_a_loss_on_words_gets_the_word_alignment_of_the_rows_with_a_teacher(stack, world, model):
    """Linked tokens are compared where they are, padding and rows without a teacher left out: by hand."""
    terms, target, visited = small_transfer(stack, world, {"name": "words"}), world[0][1], {}
    _, logits = model(target.states, TARGET, visited)
    (found,) = terms(model, target, visited, logits, None)
    standardiser, values = terms.standardisers[3], []
    with torch.no_grad():
        theirs = at_layer(stack, target.source, 3).tokens
        for row, a, b in target.word_alignment.tolist():
            one = (visited[3].tokens[TAUGHT[row], b] - standardiser.mean) / standardiser.scale
            other = (theirs[row, a] - standardiser.mean) / standardiser.scale
            values.append(1 - torch.cosine_similarity(one, other, dim=0))
    torch.testing.assert_close(found, torch.stack(values).mean())


def test_the_source_batch_knows_losses_on_states_only(stack, world, model):
    """It is its own translation: compared with its own frozen states, without words to align or predictions to copy."""
    spy, source = Spy(stack, world, (None, {"predictions"}), (2, ()), (None, {"tokens"}), (None, ())), world[0][0]
    found = spy(model, source)
    assert [loss is None for loss in found] == [True, False, True, False]
    assert sorted(spy.shown) == [1, 3]
    for i, layer in ((1, 2), (3, 3)):
        standardiser = spy.terms.standardisers[layer]
        pooled = at_layer(stack, source.states, layer).pooled()
        torch.testing.assert_close(spy.shown[i][0].states.pooled(), (pooled - standardiser.mean) / standardiser.scale)


def test_a_source_batch_s_tokens_are_held_to_its_frozen_ones(stack, world, model):
    """Where a loss on words has an anchor, at its layer: by hand, and its forward pass is counted."""
    block = {"name": "words", "layer": 2, "anchor": 0.5}
    terms, free, source = (
        small_transfer(stack, world, block),
        small_transfer(stack, world, block | {"anchor": 0}),
        world[0][0],
    )
    visited = {}
    _, logits = model(source.states, SOURCE, visited)
    assert free(model, source, visited, logits, None) == [None]
    (found,) = terms(model, source, visited, logits, None)
    mean = terms.standardisers[2].mean
    with torch.no_grad():
        frozen = at_layer(stack, source.states, 2).tokens[:, 1:-1] - mean
    ours = visited[2].tokens[:, 1:-1] - mean  # all texts have six tokens
    torch.testing.assert_close(found, 0.5 * (1 - torch.cosine_similarity(ours, frozen, dim=-1)).mean())
    assert (terms.source_passes, free.source_passes) == (1, 0)
    assert found.requires_grad


def test_an_anchor_at_the_last_layer_needs_the_frozen_forward_pass(stack, world, model):
    """The cached pooled state says nothing of tokens."""
    terms, source, visited = small_transfer(stack, world, {"name": "words", "anchor": 1.0}), world[0][0], {}
    _, logits = model(source.states, SOURCE, visited)
    (found,) = terms(model, source, visited, logits, None)
    with torch.no_grad():
        frozen = stack.finish(at_layer(stack, source.states, 3).tokens)[:, 1:-1] - terms.standardisers[3].mean
    ours = visited[3].tokens[:, 1:-1] - terms.standardisers[3].mean
    torch.testing.assert_close(found, (1 - torch.cosine_similarity(ours, frozen, dim=-1)).mean())
    assert terms.source_passes == 1


def test_rows_without_a_teacher_are_left_out_of_a_source_batch(stack, world, model):
    """Labelled texts that are not regularised are not computed either."""
    spy, source = Spy(stack, world, (2, ())), world[0][0]
    spy(model, replace(source, has_teacher=torch.arange(8) < 5))
    assert [len(view.states.tokens) for view in spy.shown[0]] == [5, 5]


def test_no_gradient_reaches_the_teacher(stack, world):
    """Also where layers are unfrozen: gradients are those of a loss against numbers."""
    names = {name for name, _ in stack.named_parameters() if name.startswith("layers.2.")}
    model = shaken(small_model(stack, dropout=0.0, unfrozen=names), size=0.1)
    target, parameters = world[0][1], list(model.adaptation.parameters())
    terms = small_transfer(stack, world, {"name": "mse", "layer": 2}, {"name": "mse"})
    visited = {}
    _, logits = model(target.states, TARGET, visited)
    found = sum(terms(model, target, visited, logits, None))
    by_hand = 0
    for layer in (2, 3):
        theirs = at_layer(stack, target.source, layer).pooled().detach()
        distance = (visited[layer].pooled()[TAUGHT] - theirs).square().mean()
        by_hand = by_hand + distance / terms.standardisers[layer].scale.square()
    for one, other in zip(
        *(torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True) for loss in (found, by_hand)),
        strict=True,
    ):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in stack.parameters())


def test_the_source_language_is_remembered(stack, world):
    """Predictions for the source side are made as for a text of that language, whatever batch asks."""
    assert small_transfer(stack, world).source_language == SOURCE


def test_the_loss_of_the_guide_is_a_loss(stack, world, model):
    """The example of ``docs/extending.md`` registers itself and does what it says."""
    guide = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL)
    with alignment.temporarily():
        exec(compile(code, "extending.md", "exec"), {"__name__": "guide"})
        terms = small_transfer(stack, world, {"name": "l1", "power": 1.5, "layer": 2})
    target, visited = world[0][1], {}
    _, logits = model(target.states, TARGET, visited)
    (found,) = terms(model, target, visited, logits, None)
    theirs = at_layer(stack, target.source, 2).pooled()
    distance = (visited[2].pooled()[TAUGHT] - theirs) / terms.standardisers[2].scale
    torch.testing.assert_close(found, distance.abs().pow(1.5).mean())
