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
LABELS = {"classification": ("a", "b", "c"), "tagging": ("A", "B")}


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


@pytest.mark.parametrize("name", [name for name in kinds if name != "generation"])  # whose head is the decoder's own
def test_the_head_of_a_kind_gives_its_outputs(name, tiny_backbone):
    """One linear layer, on each token or on the mean over the real ones, by hand."""
    kind, stack = kind_of(name, LABELS.get(name, ()), OPTIONS.get(name, {})), tiny_backbone.stack
    head, final = build_head(kind, stack), random_states(stack.width)
    assert isinstance(head, Head)
    read = final.tokens if kind.per_token else torch.stack([final.tokens[0].mean(0), final.tokens[1, :2].mean(0)])
    torch.testing.assert_close(head.read(final), read @ head.weight.T + head.bias)
    assert head.read(final).shape[-1] == kind.outputs


def test_a_head_from_outside_is_trained_by_the_kind_that_names_it(registered, tiny_backbone):
    """Its logits are those of the network."""
    kind = replace(kind_of("classification", LABELS["classification"], {}), head="first", class_logits=False)
    head, final = build_head(kind, tiny_backbone.stack), random_states(tiny_backbone.stack.width)
    model = GraftedModel(tiny_backbone.stack, Adaptation(None, None, head))
    states, logits = model(final, "eng-Latn")
    torch.testing.assert_close(logits, states.tokens[:, 0] @ head.weight.T + head.bias)
