"""The contract of heads: another is one file."""

from dataclasses import replace

import pytest
import torch

from lingraft.core.records import States
from lingraft.model.adaptation import Adaptation
from lingraft.model.heads import Head, build_head, heads
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.tasks.kinds import kind_of, kinds

OPTIONS = {"tagging": {"scheme": "plain"}}
LABELS = {"classification": ("a", "b", "c"), "multilabel": ("a", "b", "c"), "tagging": ("A", "B")}


@pytest.fixture
def registered():
    """The registry with a head from outside, which reads the first token."""

    class FirstToken(LinearClassifier):
        def read(self, final):
            return self(final.tokens[:, 0])

    with heads.temporarily():
        heads.register("first")(lambda: lambda stack, outputs, per_token: FirstToken(stack.width, outputs))
        yield


def random_states(width, lengths=(4, 2)):
    """Final states of some texts, padded on the right."""
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return States(
        tokens=torch.randn(*mask.shape, width, generator=torch.Generator().manual_seed(0)), mask=mask, layer=3
    )


@pytest.mark.parametrize(
    "name", [name for name in kinds if name not in ("generation", "generative_qa")]
)  # whose head is the decoder's own
def test_the_head_of_a_kind_gives_its_outputs(name, tiny_backbone):
    """One linear layer, on each token or on the mean over the real ones, by hand."""
    kind, stack = kind_of(name, LABELS.get(name, ()), OPTIONS.get(name, {})), tiny_backbone.stack
    head, final = build_head(kind, stack), random_states(stack.width)
    assert isinstance(head, Head)
    read = final.tokens if kind.per_token else torch.stack([final.tokens[0].mean(0), final.tokens[1, :2].mean(0)])
    linear = read @ head.weight.T + head.bias
    torch.testing.assert_close(head.read(final)[..., : linear.shape[-1]], linear)
    assert head.read(final).shape == (*linear.shape[:-1], kind.outputs)


def test_a_threshold_stands_behind_the_logits_of_each_text(tiny_backbone):
    """One for all, as it was chosen; it comes back with the head, and no gradient moves it."""
    kind, stack = kind_of("multilabel", LABELS["multilabel"], {}), tiny_backbone.stack
    head, again, final = build_head(kind, stack), build_head(kind, stack), random_states(stack.width)
    head.threshold.fill_(-0.7)
    again.load_state_dict(head.state_dict())
    assert head.read(final)[:, -1].tolist() == pytest.approx([-0.7, -0.7])
    assert torch.equal(again.read(final), head.read(final))
    assert torch.equal(head.read_pooled(final.pooled()), head.read(final))
    assert [name for name, _ in head.named_parameters()] == ["weight", "bias"]
    with pytest.raises(
        ValueError, match="label_logits needs an output for each of 3 labels and one for the threshold, not tokens"
    ):
        build_head(replace(kind, per_token=True), stack)


def test_a_head_from_outside_is_trained_by_the_kind_that_names_it(registered, tiny_backbone):
    """Its logits are those of the network."""
    kind = replace(kind_of("classification", LABELS["classification"], {}), head="first", class_logits=False)
    head, final = build_head(kind, tiny_backbone.stack), random_states(tiny_backbone.stack.width)
    model = GraftedModel(tiny_backbone.stack, Adaptation(None, None, head))
    states, logits = model(final, "eng-Latn")
    torch.testing.assert_close(logits, states.tokens[:, 0] @ head.weight.T + head.bias)
