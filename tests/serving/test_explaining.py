"""What a loaded run says of a text beside its answer: its state, and what speaks for the answer."""

import numpy as np
import pytest
import torch

from answering import adapted_of
from lingraft.backbones.walk import states_at
from lingraft.core.errors import CheckpointError, DataError
from lingraft.model.ensembles import LanguageEnsemble
from lingraft.model.heads.ngrams import fit_ngram_classifier

CODE = "yor-Latn"
TEXTS = ["ada beli", "cora dune eli", "fara"]


@pytest.fixture
def adapted(tiny_backbone):
    """A loaded run for topics."""
    return adapted_of(tiny_backbone)


def ngram_classifier():
    """A classifier of three classes, fitted to random words."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["ada", "beli", "cora", "dune", "eli", "fara"], 4)) + f" x{i}" for i in range(30)]
    classifier, _ = fit_ngram_classifier(texts, rng.dirichlet([1, 1, 1], 30))
    return classifier


def test_the_state_of_a_text_is_the_mean_over_its_tokens(adapted):
    """After the last layer, one text at a time, as without any trained part; nothing of a text that is none."""
    found = adapted.embed([*TEXTS, None])
    stack, device = adapted.backbone.stack, torch.device("cpu")
    for text, row in zip(TEXTS, found, strict=False):
        ids = tuple(adapted.backbone.tokenizer(adapted.identity.text_prefix + text)["input_ids"])
        (tokens,) = states_at((ids,), stack, stack.num_layers, device).tokens
        np.testing.assert_allclose(row, tokens.mean(0).numpy(), atol=1e-5)
    assert found.dtype == np.float32
    assert np.isnan(found[-1]).all()
    assert adapted.embed(iter(TEXTS)).tolist() == found[:-1].tolist()
    assert adapted.embed([]).shape == (0, stack.width)


def test_the_state_of_an_item_of_several_rows_is_their_mean(tiny_backbone):
    """Each alternative of a choice is a row."""
    adapted = adapted_of(tiny_backbone, "choice")
    both, one, other = adapted.embed(
        [{"text": "cora", "alternatives": given} for given in (["ada", "beli"], ["ada", "ada"], ["beli", "beli"])]
    )
    np.testing.assert_allclose(both, (one + other) / 2, atol=1e-5)


@pytest.mark.parametrize("second", [None, "dune fara"])
def test_a_word_speaks_for_the_answer_as_much_as_is_lost_without_it(adapted, second, tiny_backbone):
    """In logarithms of the probability that the answer has in the text without the word; also in the second text."""
    if second is not None:
        adapted = adapted_of(tiny_backbone, paired=True)
    text, of_second = "cora dune, eli", [] if second is None else ["fara", "dune"]
    rests = ["dune, eli", "cora , eli", "cora dune eli", "cora dune,"]
    item, without = text, rests
    if second is not None:
        item, without = (text, second), [*((rest, second) for rest in rests), *((text, rest) for rest in of_second)]
    found, whole = adapted.explain(item), adapted.predict_proba([item])
    place = whole.classes.index(found.answer.value)
    lost = np.log(whole.values[0, place]) - np.log(adapted.predict_proba(without).values[:, place])
    assert [word.text for word in found.words] == ["cora", "dune", ",", "eli", *of_second[::-1]]
    assert [word.score for word in found.words] == pytest.approx(lost.tolist(), abs=1e-5)
    texts = [item] if second is None else item
    assert all(texts[word.second][word.start : word.end] == word.text for word in found.words)
    assert found.ngrams == ()
    assert found.answer.confidence == pytest.approx(adapted.predict([item])[0].confidence)


def test_ngrams_add_up_to_what_their_classifier_says(adapted):
    """Of the answer's class less the mean of all, times what the classifier counts; the loudest come first."""
    classifier = ngram_classifier()
    adapted.model.adaptation.add_ensemble(
        CODE, LanguageEnsemble(torch.tensor([0.5, 2.0]), None, {"ngrams": classifier})
    )
    found = adapted.explain("ada cora zzz")
    (logits,) = classifier(["ada cora zzz"])
    place = adapted.identity.labels.index(found.answer.value)
    assert sum(one.score for one in found.ngrams) == pytest.approx(float(2 * (logits[place] - logits.mean())), abs=1e-5)
    loud = [abs(one.score) for one in found.ngrams]
    assert loud == sorted(loud, reverse=True)
    assert {" ada ", "cora"} <= {one.text for one in found.ngrams}


def test_of_one_word_none_is_left_out(adapted):
    """Nothing would be left to answer."""
    assert adapted.explain("fara").words == ()


@pytest.mark.parametrize("kind", ["span_qa", "tagging", "choice"])
def test_other_kinds_are_not_explained(tiny_backbone, kind):
    """What speaks for an answer is said of classes alone."""
    items = {
        "span_qa": {"question": "ada", "context": "be"},
        "tagging": ["ada", "be"],
        "choice": {"text": "ada", "alternatives": ["ada", "be"]},
    }
    with pytest.raises(CheckpointError, match=f"the run is for {kind}; what speaks for an answer"):
        adapted_of(tiny_backbone, kind).explain(items[kind])


@pytest.mark.parametrize(
    ("item", "told"), [("  ", "the text is empty"), (None, "the text is empty"), (5, "the text: topic takes one text")]
)
def test_what_cannot_be_explained_is_one_clear_error(adapted, item, told):
    """An empty text, and what is none."""
    with pytest.raises(DataError, match=told):
        adapted.explain(item)
