"""The contract of heads and text classifiers: another of either is one file."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from identities import identity_of
from lingraft.core.records import PairExample, States
from lingraft.model.adaptation import Adaptation
from lingraft.model.checkpoint import load_adaptation, save_adaptation
from lingraft.model.heads import Head, TextClassifier, build_head, heads, restore_text_classifiers, text_classifiers
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.tasks.kinds import kind_of, kinds

OPTIONS = {"tagging": {"scheme": "plain"}}
LABELS = {"classification": ("a", "b", "c"), "tagging": ("A", "B")}


class LengthClassifier(TextClassifier):
    """Says how long a text is: a text classifier from outside."""

    name = "length"
    title = "length of the text"

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, texts, network):
        """Add a weight for each character."""
        return network + torch.tensor([[float(len(text))] for text in texts]) * self.weight.detach()

    @classmethod
    def restore(cls, tensors):
        """Of its one tensor."""
        return cls(tensors["weight"])


@pytest.fixture
def registered():
    """The registries with a text classifier from outside, and a head that reads the first token."""

    class FirstToken(LinearClassifier):
        def read(self, final):
            return self(final.tokens[:, 0])

    text_classifiers.register("length")(lambda: LengthClassifier)
    heads.register("first")(lambda: lambda stack, outputs, per_token: FirstToken(stack.width, outputs))
    yield
    del text_classifiers._factories["length"], heads._factories["first"]


def random_states(width, lengths=(4, 2)):
    """Final states of some texts, padded on the right."""
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return States(
        tokens=torch.randn(*mask.shape, width, generator=torch.Generator().manual_seed(0)), mask=mask, layer=3
    )


@pytest.mark.parametrize("name", list(kinds))
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


def test_a_text_classifier_from_outside_is_saved_and_asked(registered, tiny_backbone, tmp_path):
    """By the language's name and its own; in its language alone, and ensembled with another that is there."""
    model = GraftedModel(tiny_backbone.stack, Adaptation(None, None, LinearClassifier(24, 2)))
    model.adaptation.add_text_classifier("yor-Latn", LengthClassifier(torch.tensor([1.0, -1.0])))
    save_adaptation(tmp_path / "a.safetensors", model.adaptation, identity_of(tiny_backbone))
    loaded, _ = load_adaptation(tmp_path / "a.safetensors", tiny_backbone)
    example, logits = PairExample("1", "1", "yor-Latn", text_a="abcd"), [torch.tensor([0.5, 0.5])]
    for adaptation in (model.adaptation, loaded):
        (found,) = adaptation.ensemble([example], logits, "yor-Latn")
        assert found.tolist() == [4.5, -3.5]
        assert adaptation.ensemble([example], logits, "eng-Latn") is logits


def test_text_classifiers_are_told_apart_by_language_and_name(registered):
    """Those of several languages lie side by side in a file, among other tensors."""
    tensors = {
        f"text_classifiers.length.{code}-Latn.weight": torch.ones(2) * i for i, code in enumerate(["hau", "yor"])
    }
    found = restore_text_classifiers(tensors | {"head.weight": torch.zeros(2, 2)}, "a file")
    assert [(language, classifier.weight.tolist()) for language, classifier in found] == [
        ("hau-Latn", [0.0, 0.0]),
        ("yor-Latn", [1.0, 1.0]),
    ]
