"""The layers, computed by several ranks: here all in one process, with copies of everything that goes between them."""

import copy
import pickle

import pytest
import torch

from lingraft.backbones.encoding import encode_here
from lingraft.core.errors import RunError
from lingraft.core.records import IDS
from lingraft.distributed.ranks import Failed, Ranks
from lingraft.distributed.shared_layers import Computer, SharedModel, encoded_by
from lingraft.model.adaptation import add_lora
from lingraft.model.adapters import adapters
from lingraft.model.network import GraftedModel
from lingraft.model.prompts import prompts
from lingraft.recipe.blocks import Block
from small_training import (
    CPU,
    STEPS,
    TARGET,
    shaken,
    small_model,
    small_settings,
    small_transfer,
    small_world,
    trained,
)

SIZE = 3
PLAIN = {"dropout": 0.0}


class Copies:
    """Ranks that are copies in this process; what is dealt out goes through bytes, as it would."""

    def __init__(self, backbone, size=SIZE, others=None):
        self.size = size
        self.others = others or [Computer(copy.deepcopy(backbone), CPU) for _ in range(1, size)]
        self.bytes = 0

    def deal(self, shares, compute):
        """Rank 0 computes by what it is given, the others by their own."""
        found = [compute(shares[0])]
        for share, computer in zip(shares[1:], self.others, strict=True):
            sent = pickle.dumps(share)
            self.bytes += len(sent)
            found.append(pickle.loads(pickle.dumps(computer(pickle.loads(sent)))))
        return found


def shared(model, backbone, **options):
    """The same network by three ranks."""
    return SharedModel(model, backbone, Copies(backbone, **options))


def close(found, expected):
    """Equal but for the order in which rows are added up."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        size = float(tensor.abs().max())
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-5 * size + 1e-7, msg=name)


def all_parts():
    """Each prompt and each adapter, with the cut that it needs."""
    for name in prompts.names():
        yield {"prompt": {"name": name}, "adapter": None, "cut": 0 if name == "input" else 1}
    for name in adapters.names():
        if name not in ("peft", "adapterhub"):  # of folders that others wrote
            still = {"dropout": 0.0} if "dropout" in adapters.defaults(name) else {}
            yield {"prompt": None, "adapter": {"name": name, **still}, "cut": 1}


@pytest.mark.parametrize("parts", list(all_parts()), ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_states_and_gradients_are_those_of_one_process(tiny_backbone, parts, training):
    """Of last states and of those on the way, for every part that there is."""
    stack, found = tiny_backbone.stack, []
    for make in (lambda model: model, lambda model: shared(model, tiny_backbone)):
        model = make(shaken(small_model(stack, **parts), size=0.2))
        model.train(training)
        states, visited = small_world(stack, cut=parts["cut"])[0][0].states, {}
        final, logits = model(states, TARGET, visited)
        assert torch.equal(visited[final.layer].tokens, final.tokens)
        loss = logits.pow(2).sum() + sum(after.pooled().pow(3).sum() for after in visited.values())
        first = torch.autograd.grad(
            final.pooled().sum(), list(model.adaptation.parameters()), retain_graph=True, allow_unused=True
        )
        loss.backward()
        gradients = {name: p.grad for name, p in model.adaptation.named_parameters() if p.grad is not None}
        states = {str(layer): after.tokens.detach() for layer, after in visited.items()}
        found.append((gradients, states, {str(i): g for i, g in enumerate(first) if g is not None}))
    for one, other in zip(*found, strict=True):
        close(other, one)
    assert len(found[0][0]) > 2


@pytest.mark.parametrize("blocks", [({"name": "mse"},), ({"name": "contrastive"}, {"name": "words", "layer": 2})])
def test_a_training_ends_as_in_one_process(tiny_backbone, blocks):
    """With losses that compare the rows of a batch, weights that move, and gradients that are compared."""
    stack = tiny_backbone.stack
    world, terms = small_world(stack), small_transfer(stack, small_world(stack), *blocks)
    settings = small_settings(balance=0.5)
    alone, history = trained(small_model(stack, **PLAIN), world, terms, settings=settings)
    model = shared(small_model(stack, **PLAIN), tiny_backbone)
    found, of_ranks = trained(model, world, terms, settings=settings)
    close(found, alone)
    for what in ("task_loss", "alignment_loss", "gradient_cosine"):  # the last of every twentieth step
        numbers = [[row[what] for row in rows if row[what] is not None] for rows in (of_ranks, history)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-3)
        assert numbers[0]


def test_dropout_differs_from_rank_to_rank_and_is_the_same_again(tiny_backbone):
    """A text that is there three times drops three different things."""
    model = shared(shaken(small_model(tiny_backbone.stack), size=0.5), tiny_backbone).train()
    states = small_world(tiny_backbone.stack)[0][0].states.take([0, 0, 0])
    torch.manual_seed(4)
    first = model.run_layers(states, TARGET).tokens
    torch.manual_seed(4)
    assert torch.equal(model.run_layers(states, TARGET).tokens, first)
    assert not torch.allclose(first[0], first[1])
    assert not torch.allclose(first[1], first[2])


def test_parts_that_come_later_are_told(tiny_backbone):
    """LoRA in all layers, from the last epochs on; and the frozen model's states are what they were."""
    stack, found = tiny_backbone.stack, []
    states = small_world(stack, cut=IDS)[0][0].states
    for make in (lambda model: model, lambda model: shared(model, tiny_backbone)):
        model = make(shaken(small_model(stack, **PLAIN))).eval()
        with torch.no_grad():
            before = model.run_layers(states, TARGET).tokens
            add_lora(model.adaptation, Block(name="lora"), None, stack)
            for parameter in model.adaptation.lora.parameters():
                parameter.add_(0.1)
            after = model.run_layers(states, TARGET).tokens
            frozen = model.run_layers(states, TARGET, adapters_enabled=False).tokens
        found.append({"before": before, "after": after, "frozen": frozen})
    close(found[1], found[0])
    assert not torch.allclose(found[0]["before"], found[0]["after"], atol=1e-3)


def test_what_has_not_changed_is_not_told_again(tiny_backbone):
    """A second batch costs its states alone."""
    model = shared(small_model(tiny_backbone.stack), tiny_backbone).eval()
    states = small_world(tiny_backbone.stack)[0][0].states
    ranks, sent = model.deal.ranks, []
    with torch.no_grad():
        for _ in range(3):
            before = ranks.bytes
            model.run_layers(states, TARGET)
            sent.append(ranks.bytes - before)
    assert sent[0] > sent[1] == sent[2]
    assert sent[0] < 200_000  # parts, and never the frozen model


def test_the_frozen_model_stays_as_it_is(tiny_backbone):
    """Nothing is written to it, on no rank."""
    before = {name: tensor.clone() for name, tensor in tiny_backbone.stack.state_dict().items()}
    model = shared(small_model(tiny_backbone.stack), tiny_backbone)
    trained(model, small_world(tiny_backbone.stack), None, settings=small_settings(num_train_epochs=1))
    for computer in (model.deal.compute, *model.deal.ranks.others):
        for name, tensor in computer.backbone.stack.state_dict().items():
            assert torch.equal(tensor, before[name])


def test_a_batch_of_fewer_rows_than_ranks_stays_on_one(tiny_backbone):
    """There is nothing to share."""
    model = shared(small_model(tiny_backbone.stack), tiny_backbone).eval()
    states = small_world(tiny_backbone.stack)[0][0].states.take([0, 1])
    alone = GraftedModel(model.stack, model.adaptation).eval()
    with torch.no_grad():
        assert torch.equal(model.run_layers(states, TARGET).tokens, alone.run_layers(states, TARGET).tokens)
    assert model.deal.ranks.bytes == 0


@pytest.mark.parametrize("count", [0, 1, 3, 7])
def test_texts_are_encoded_in_the_order_they_are_given(tiny_backbone, count):
    """A batch for each rank at a time; the last round may be short."""
    batches = [[[1, 5 + i, 9 + i, 2]] * (1 + i % 2) for i in range(count)]
    found = list(encoded_by(Copies(tiny_backbone))(batches, tiny_backbone, 1, CPU))
    expected = list(encode_here(batches, tiny_backbone, 1, CPU))
    assert len(found) == count
    for (states, pooled), (alone, pooled_alone) in zip(found, expected, strict=True):
        assert torch.equal(states.tokens, alone.tokens)
        assert torch.equal(pooled, pooled_alone)


def test_another_checkpoint_is_refused(tiny_backbone):
    """States of other weights would be kept under these weights' name."""
    other = copy.copy(tiny_backbone)
    object.__setattr__(other, "weights_digest", "another")
    ranks = Copies(tiny_backbone, 2, [Computer(other, CPU)])
    with pytest.raises(RunError, match=r"has the digest another here and \w+ on rank 0; give every machine the same"):
        list(encoded_by(ranks)([[[1, 5, 2]], [[1, 6, 2]]], tiny_backbone, 1, CPU))


def test_what_fails_on_a_rank_is_a_line(tiny_backbone, monkeypatch):
    """With the rank that it failed on."""
    from torch import distributed

    def gather(own, found):
        found[:] = [own, Failed(1, "MemoryError: no room")]

    monkeypatch.setattr(distributed, "scatter_object_list", lambda target, shares: None)
    monkeypatch.setattr(distributed, "gather_object", gather)
    with pytest.raises(RunError, match=r"^rank 1 of 2: MemoryError: no room$"):
        Ranks(0, 2).deal(["one", "two"], lambda share: share)


def test_steps_are_as_many(tiny_backbone):
    """Batches are not made larger by ranks."""
    model = shared(small_model(tiny_backbone.stack, **PLAIN), tiny_backbone)
    _, history = trained(model, small_world(tiny_backbone.stack), None, settings=small_settings(num_train_epochs=2))
    assert [row["step"] for row in history] == [STEPS, 2 * STEPS]
