"""Baselines: prototypes against plain loops, PEFT against its own forward pass."""

import math

import pytest
import torch

from identities import identity_of
from lingraft.backbones import backbones
from lingraft.backbones.depth import first_layers
from lingraft.backbones.digests import weights_digest
from lingraft.core.errors import ConfigError
from lingraft.core.records import IDS, States
from lingraft.experiments.baselines.peft import (
    METHODS,
    PeftUnsupportedError,
    as_graft,
    keep_layers,
    peft_network,
    share_memory,
)
from lingraft.experiments.baselines.prototype import prototype_logits
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.recipe.blocks import Block
from stacks import run_stack
from tiny import random_model

SMALL = {"peft-prompt": {"num_virtual_tokens": 4}, "peft-prefix": {"num_virtual_tokens": 4}, "peft-lora": {"r": 2}}
TOKENS = torch.tensor([[1, 5, 6, 7, 2], [1, 8, 9, 2, 0]])
MASK = (TOKENS != 0).long()


# ---- Prototypes ------------------------------------------------------------------------------------


def cosine(a, b):
    """Of two lists of numbers."""
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


@pytest.fixture
def points():
    """Labelled points around three middles, their classes, four texts, and the centre."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.tensor([0, 1, 2] * 5)
    middles = 2 * torch.randn(3, 6, generator=generator)
    labelled = middles[targets] + torch.randn(15, 6, generator=generator) + 3
    texts = middles[torch.tensor([0, 1, 2, 1])] + torch.randn(4, 6, generator=generator) + 3
    return labelled, targets, texts, labelled.mean(0)


def test_centroids_are_what_a_loop_says(points):
    """The cosine with the mean of each class, from the centre of all texts, written out in Python."""
    labelled, targets, texts, centre = points
    logits = prototype_logits(labelled, targets, texts, classes=3, centre=centre)
    for n, text in enumerate(texts - centre):
        for c in range(3):
            members = [row - centre for row, target in zip(labelled, targets, strict=True) if target == c]
            mean = [sum(float(row[h]) for row in members) / len(members) for h in range(6)]
            assert float(logits[n, c]) == pytest.approx(cosine(text.tolist(), mean), abs=1e-5)


def test_neighbours_are_what_a_loop_says(points):
    """Each of the nearest has one vote; the sum of their cosines decides between equals."""
    labelled, targets, texts, centre = points
    logits = prototype_logits(labelled, targets, texts, classes=3, centre=centre, by="knn", neighbours=4)
    for n, text in enumerate((texts - centre).tolist()):
        nearest = sorted(range(15), key=lambda m: -cosine(text, (labelled[m] - centre).tolist()))[:4]
        votes = [0.0] * 3
        sums = [0.0] * 3
        for m in nearest:
            votes[int(targets[m])] += 1
            sums[int(targets[m])] += cosine(text, (labelled[m] - centre).tolist())
        assert int(logits[n].argmax()) == max(range(3), key=lambda c: (votes[c], sums[c]))
        assert logits[n].round().tolist() == votes


def test_more_neighbours_than_texts_are_all_texts(points):
    """Few-shot sets are smaller than the default number of neighbours may be."""
    labelled, targets, texts, centre = points
    logits = prototype_logits(labelled, targets, texts, classes=3, centre=centre, by="knn", neighbours=99)
    assert logits.round().tolist() == [[5.0] * 3] * 4


def test_a_class_without_a_text_has_no_centre(points):
    """The mean of nothing would be a class of not-a-numbers that is never predicted, in silence."""
    labelled, targets, texts, centre = points
    with pytest.raises(ValueError, match="class 3 has no labelled text"):
        prototype_logits(labelled, targets, texts, classes=4, centre=centre)


# ---- PEFT ------------------------------------------------------------------------------------------


def network(method, family="bert", head=None, **options):
    """A PEFT network on a random model of a family."""
    stack = backbones.build(family)(random_model(family))
    torch.manual_seed(0)
    head = head or LinearClassifier(24, 3)
    return peft_network(method, SMALL[method] | options, lambda: random_model(family), stack, head)


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "llama", "gpt2"])
@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_pefts_own_forward_and_a_mean(method, family):
    """What is compared is PEFT as published: called directly, it gives the same states, virtual tokens aside."""
    net = network(method, family)
    for mode in (True, False):
        net.train(mode)
        final, logits = net(States(TOKENS, MASK, IDS), "yor-Latn")
        with torch.no_grad():
            reference = net.model(input_ids=TOKENS, attention_mask=MASK).last_hidden_state
        reference = reference[:, 4:] if method == "peft-prompt" else reference
        assert torch.allclose(final.tokens, reference, atol=1e-6)
        pooled = torch.stack([reference[0].mean(0), reference[1, :4].mean(0)])
        assert torch.allclose(logits, net.adaptation.head(pooled), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_padding_changes_nothing(method):
    """A text's logits do not hang on what it shares a batch with, also behind PEFT's virtual tokens."""
    net = network(method)
    alone = net(States(TOKENS[1:, :4], MASK[1:, :4], IDS), "")[1]
    together = net(States(TOKENS, MASK, IDS), "")[1][1:]
    assert torch.allclose(alone, together, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_what_trains_is_pefts_parameters_and_the_head(method):
    """As many as the formula of each method says; all of them learn, and the backbone does not move."""
    net = network(method)
    before = weights_digest(net.stack)
    trained = dict(net.adaptation.named_parameters())
    part = "adapter" if method == "peft-lora" else "prompt"
    assert {name.partition(".")[0] for name in trained} == {part, "head"}
    expected = {"peft-prompt": 4 * 24, "peft-prefix": 4 * 3 * 2 * 24, "peft-lora": 3 * 2 * 2 * 2 * 24}[method]
    assert sum(p.numel() for name, p in trained.items() if name.startswith(part)) == expected

    optimizer = torch.optim.AdamW(trained.values(), lr=0.1)
    first = net(States(TOKENS, MASK, IDS), "")[1]
    for _ in range(2):
        optimizer.zero_grad()
        net(States(TOKENS, MASK, IDS), "")[1].pow(2).sum().backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trained.values())
    assert not torch.allclose(net(States(TOKENS, MASK, IDS), "")[1], first)
    assert weights_digest(net.stack) == before  # also where LoRA's targets share its memory


@pytest.mark.parametrize("method", METHODS)
def test_a_head_whose_logits_cancel_is_no_reason_to_refuse(method):
    """Two classes warm-started by logistic regression have the rows w and -w, so their logits always sum to 0."""
    head = LinearClassifier(24, 2)
    with torch.no_grad():
        row = torch.randn(24, generator=torch.Generator().manual_seed(1))
        head.weight.copy_(torch.stack([row, -row]))
        head.bias.zero_()
    logits = network(method, head=head)(States(TOKENS, MASK, IDS), "")[1]
    assert logits.sum(-1).abs().max() < 1e-5 < logits.abs().min()


def test_prompts_start_from_the_vocabulary():
    """Each virtual token is the embedding of some word: random ones are known to learn worse."""
    net = network("peft-prompt")
    words = net.model.get_base_model().get_input_embeddings().weight
    rows = next(iter(net.adaptation.prompt.parameters()))
    assert all(((words - row).abs().sum(1) < 1e-6).any() for row in rows)


def test_a_fresh_lora_changes_nothing():
    """Its second matrix is zero, so training starts from Hugging Face's own states."""
    net = network("peft-lora")
    hidden = random_model("bert")(input_ids=TOKENS, attention_mask=MASK).last_hidden_state
    assert torch.allclose(net(States(TOKENS, MASK, IDS), "")[0].tokens[0], hidden[0], atol=1e-6)


def test_the_frozen_model_is_held_once():
    """PEFT's model and our stack share memory: two copies would count against PEFT's methods in the table."""
    model, stack = random_model("bert"), backbones.build("bert")(random_model("bert"))
    numbers = {name: p.clone() for name, p in model.named_parameters()}
    share_memory(model, stack)
    held = {p.data_ptr() for p in stack.parameters()}
    encoder = {n: p for n, p in model.named_parameters() if not n.startswith("pooler")}
    assert {p.data_ptr() for p in encoder.values()} <= held
    assert all(torch.equal(p, numbers[name]) for name, p in model.named_parameters())


@pytest.mark.parametrize(
    ("method", "family"), [("peft-prefix", "modernbert"), ("peft-prefix", "deberta-v2"), ("peft-lora", "modernbert")]
)
def test_what_peft_cannot_do_is_said_in_one_line(method, family):
    """The comparison prints it in a row; a traceback of PEFT would not fit there."""
    with pytest.raises(PeftUnsupportedError, match=f"does not work on {family}") as caught:
        network(method, family)
    assert "\n" not in str(caught.value)


def test_an_option_that_peft_does_not_know_is_refused():
    """LoRA's rank is `r` in PEFT; an option that is ignored would be another method than the one named."""
    with pytest.raises(ConfigError, match="does not take"):
        network("peft-lora", rank=3)


def test_states_in_between_are_refused():
    """PEFT runs the whole model, so there is nothing that a loss at a layer could look at."""
    with pytest.raises(ConfigError, match="no states in between"):
        network("peft-lora")(States(TOKENS, MASK, IDS), "", {})


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), torch.OutOfMemoryError),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError),
        (RuntimeError("size mismatch"), PeftUnsupportedError),
    ],
)
def test_too_little_memory_is_not_taken_for_a_method_that_is_impossible(raised, expected):
    """On a larger machine it works, so its row must not say that PEFT cannot; here it is the head that raises."""

    class Failing(LinearClassifier):
        def forward(self, *states):
            raise raised

    with pytest.raises(expected):
        network("peft-lora", head=Failing(24, 3))


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_a_lora_of_pefts_becomes_one_of_ours(family):
    """What is saved of it, is loaded as an adaptation and says the same."""
    net = network("peft-lora", family).eval()
    with torch.no_grad():
        for parameter in net.adaptation.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)

    adaptation, known = as_graft(net, identity_of(cut=IDS))

    options = Block.model_validate(known.adapter)
    assert (options.name, options.options["targets"]) == ("lora", ["attention.self.query", "attention.self.value"])
    given = States(TOKENS, MASK, IDS)
    torch.testing.assert_close(GraftedModel(net.stack, adaptation.eval())(given, "")[1], net(given, "")[1])


@pytest.mark.parametrize("family", backbones.names())
def test_a_model_of_fewer_layers_is_the_stack_of_as_many(family):
    """Hugging Face's model, without the blocks that are left out, gives what our shorter stack gives."""
    stack = first_layers(backbones.build(family)(random_model(family)), 2)
    model = keep_layers(random_model(family), stack).eval()

    with torch.no_grad():
        theirs = model(input_ids=TOKENS, attention_mask=MASK).last_hidden_state
        ours = run_stack(stack, stack.embed(TOKENS), MASK)

    torch.testing.assert_close(ours[MASK.bool()], theirs[MASK.bool()], atol=1e-5, rtol=0)
