"""What is added up for the texts of one language, and how much of each."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn

from identities import identity_of
from lingraft.core.errors import CheckpointError
from lingraft.core.examples import PairExample
from lingraft.model.adaptation import Adaptation
from lingraft.model.checkpoint import load_adaptation, save_adaptation
from lingraft.model.ensembles import LanguageEnsemble, restore_ensembles, stack_logits
from lingraft.model.heads import TextClassifier, text_classifiers
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.heads.ngrams import NgramClassifier
from lingraft.model.maps import LanguageMap
from lingraft.model.ngram_features import NgramFeatures

CODE, OTHER = "yor-Latn", "hau-Latn"


class LengthClassifier(TextClassifier):
    """Says how long a text is: a text classifier from outside."""

    name = "length"
    title = "length of the text"

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, texts):
        """A weight for each character."""
        return torch.tensor([[float(len(text))] for text in texts]) * self.weight

    @classmethod
    def restore(cls, tensors):
        """Of its one tensor."""
        return cls(tensors["weight"])


@pytest.fixture
def registered():
    """The registry with a text classifier from outside."""
    with text_classifiers.temporarily():
        text_classifiers.register("length")(lambda: LengthClassifier)
        yield


def random_map(width, seed=0):
    """A map of rank 2 without n-grams."""
    draw = torch.Generator().manual_seed(seed)
    sizes = ((width,), (width,), (width, 2), (2, width), (2,))
    return LanguageMap(*(torch.randn(*size, generator=draw) for size in sizes))


def example(text, **changes):
    """One text of the language."""
    return replace(PairExample("1", "1", CODE, text_a=text), **changes)


def test_the_head_reads_mapped_states_and_texts_are_added(tiny_backbone, registered):
    """By hand: weights times the head of the map, and times the text classifier; the network's logits play no part."""
    width = tiny_backbone.stack.width
    adaptation = Adaptation(None, None, LinearClassifier(width, 2))
    language_map, pooled = random_map(width), torch.randn(1, width, generator=torch.Generator().manual_seed(1))
    length = LengthClassifier(torch.tensor([1.0, -1.0]))
    adaptation.add_ensemble(CODE, LanguageEnsemble(torch.tensor([0.5, 2.0]), language_map, {"length": length}))
    (found,) = adaptation.ensemble([example("abcd")], [torch.tensor([9.0, 9.0])], pooled, CODE)
    expected = 0.5 * adaptation.head(language_map(["abcd"], pooled)) + 2.0 * torch.tensor([[4.0, -4.0]])
    torch.testing.assert_close(found, expected[0].detach())


def test_without_a_map_the_network_s_logits_are_added(registered):
    """Weighted, in the language alone."""
    adaptation = Adaptation(None, None, LinearClassifier(3, 2))
    length = LengthClassifier(torch.tensor([1.0, -1.0]))
    adaptation.add_ensemble(CODE, LanguageEnsemble(torch.tensor([2.0, 1.0]), None, {"length": length}))
    logits, pooled = [torch.tensor([0.5, 0.5])], torch.zeros(1, 3)
    (found,) = adaptation.ensemble([example("abcd")], logits, pooled, CODE)
    assert found.tolist() == [5.0, -3.0]
    assert adaptation.ensemble([example("abcd")], logits, pooled, OTHER) is logits


def test_two_texts_are_left_to_the_network(registered):
    """A benchmark of pairs may have the labels of one of texts."""
    adaptation = Adaptation(None, None, LinearClassifier(3, 2))
    adaptation.add_ensemble(CODE, LanguageEnsemble(torch.ones(1), random_map(3), {}))
    logits = [torch.tensor([0.1, 0.2])]
    assert adaptation.ensemble([example("ba", text_b="ku")], logits, torch.zeros(1, 3), CODE) is logits


def test_an_ensemble_is_saved_with_its_adaptation(tiny_backbone, registered, tmp_path):
    """Map, n-grams, a classifier from outside and weights give the same after a reload, bit for bit."""
    width = tiny_backbone.stack.width
    adaptation = Adaptation(None, None, LinearClassifier(width, 2))
    draw = torch.Generator().manual_seed(2)
    ngrams = NgramClassifier(NgramFeatures([" ab", "cd "], torch.rand(2, generator=draw)), torch.randn(2, 2))
    both = {"ngrams": ngrams, "length": LengthClassifier(torch.tensor([1.0, -1.0]))}
    adaptation.add_ensemble(CODE, LanguageEnsemble(torch.tensor([0.7, 0.2, 0.4]), random_map(width), both))
    adaptation.add_ensemble(OTHER, LanguageEnsemble(torch.ones(1), random_map(width, 1), {}))
    save_adaptation(tmp_path / "a.safetensors", adaptation, identity_of(tiny_backbone))
    loaded, _ = load_adaptation(tmp_path / "a.safetensors", tiny_backbone)
    pooled, logits = torch.randn(1, width, generator=draw), [torch.tensor([0.5, 0.5])]
    for code in (CODE, OTHER):
        (ours,), (theirs,) = (a.ensemble([example("abcd")], logits, pooled, code) for a in (adaptation, loaded))
        assert torch.equal(ours, theirs)
        assert not torch.equal(ours, logits[0])


def test_what_is_restored_does_not_hang_on_the_file():
    """It has copies of tensors that are mapped into memory: the file may change, be moved or go."""
    both = {"ngrams": NgramClassifier(NgramFeatures(["ab", "cd"], torch.ones(2)), torch.ones(2, 3))}
    whole = LanguageEnsemble(torch.ones(2), random_map(4), both)
    tensors = {f"ensembles.{CODE}.{name}": tensor.clone() for name, tensor in whole.state_dict().items()}
    found = restore_ensembles(tensors, "a file")[CODE]
    for tensor in tensors.values():
        tensor.zero_()
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in found.state_dict().items())


@pytest.mark.parametrize("part", ["weights", "map.centre", "map.outputs", "classifiers.ngrams.weight"])
def test_an_ensemble_that_is_not_whole_is_refused(part):
    """Its language is named."""
    both = {"ngrams": NgramClassifier(NgramFeatures(["ab", "cd"], torch.ones(2)), torch.ones(2, 3))}
    whole = LanguageEnsemble(torch.ones(2), random_map(4), both)
    tensors = {f"ensembles.{CODE}.{name}": tensor for name, tensor in whole.state_dict().items()}
    del tensors[f"ensembles.{CODE}.{part}"]
    message = f"a file: the map and text classifiers of {CODE} cannot be read .*run the recipe again"
    with pytest.raises(CheckpointError, match=message):
        restore_ensembles(tensors, "a file")


def test_weights_for_something_else_are_refused():
    """There are as many as there are parts."""
    tensors = {f"ensembles.{CODE}.weights": torch.ones(3)}
    with pytest.raises(CheckpointError, match=r"shape \(3,\) for 1 that are added up"):
        restore_ensembles(tensors, "a file")


def test_a_text_classifier_of_an_unknown_kind_is_refused():
    """Made with a package that is not installed here, for example."""
    tensors = {f"ensembles.{CODE}.classifiers.words2.weight": torch.ones(1)}
    with pytest.raises(CheckpointError, match="a file holds a text classifier 'words2'; known are ngrams"):
        restore_ensembles(tensors, "a file")


def test_weights_are_those_of_a_search_over_a_grid():
    """The closest to the targets of all pairs of weights, none below 0."""
    generator = np.random.default_rng(9)
    targets = softmax(generator.normal(0, 2, (80, 4)), axis=1)
    network, words = (np.log(targets) * f + generator.normal(0, s, (80, 4)) for f, s in ((0.7, 1.0), (0.5, 1.5)))

    def loss(a, b):
        return -(targets * log_softmax(a * network + b * words, axis=1)).sum(1).mean()

    a, b = stack_logits([network, words], targets)
    grid = np.arange(0, 2, 0.02)
    best = min((loss(x, y), x, y) for x in grid for y in grid)
    assert loss(a, b) <= best[0] + 1e-6
    assert np.allclose([a, b], best[1:], atol=0.02)
    assert stack_logits([network, -words], targets)[1] == 0


def test_log_odds_are_weighed_as_choices_between_two_classes():
    """Each label of each text is one."""
    generator = np.random.default_rng(12)
    log_odds = generator.normal(-1, 2, (60, 3))
    parts = [log_odds * f + generator.normal(0, 1, (60, 3)) for f in (0.7, 0.4)]
    shares = 1 / (1 + np.exp(-log_odds))
    choices = [np.stack([-part / 2, part / 2], -1).reshape(-1, 2) for part in parts]
    expected = stack_logits(choices, np.stack([1 - shares, shares], -1).reshape(-1, 2))
    found = stack_logits(parts, shares, independent=True)
    assert found == pytest.approx(expected, abs=1e-3)
    assert min(found) > 0.1


def test_weights_are_found_in_single_precision_too():
    """Logits come as float32; the search is in float64."""
    generator = np.random.default_rng(11)
    targets = softmax(generator.normal(0, 2, (80, 3)), axis=1)
    sides = [np.log(targets) * f + generator.normal(0, 1, (80, 3)) for f in (0.7, 0.5)]
    single = [np.asarray(values, dtype=np.float32) for values in sides]
    found = stack_logits(single, targets.astype(np.float32))
    assert np.allclose(found, stack_logits(sides, targets), atol=1e-3)
