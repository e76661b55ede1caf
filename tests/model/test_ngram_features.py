"""Character n-grams of texts, against scikit-learn and against the definition."""

import math
import unicodedata

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from lingraft.data.text import normalise
from lingraft.model.ngram_features import SIZES, NgramFeatures, cut_ngrams, fit_ngrams

TEXTS = ["bana kuma bana", "kuma bani wáni", "wani kasa", "bana kasa kasa kasa", "x"]


def test_values_are_those_of_the_definition():
    """Sublinear counts times inverse document frequencies of what two texts have, at length 1."""
    features, _ = fit_ngrams(TEXTS)
    pieces = [
        [
            f" {word} "[i : i + n]
            for word in normalise(text).split()
            for n in range(SIZES[0], SIZES[1] + 1)
            for i in range(max(1, len(word) + 3 - n))
            if n <= len(word) + 2 or n == SIZES[0]
        ]
        for text in TEXTS
    ]
    held = {g: sum(g in own for own in pieces) for own in pieces for g in own}
    assert set(features.columns) == {g for g, count in held.items() if count > 1}
    own = [g for g in pieces[3] if g in features.columns]
    values = {g: (1 + math.log(own.count(g))) * (1 + math.log((1 + len(TEXTS)) / (1 + held[g]))) for g in own}
    length = math.sqrt(sum(value**2 for value in values.values()))
    found = features.project([TEXTS[3]], torch.eye(len(features.columns)))[0]
    for ngram, column in features.columns.items():
        assert found[column].item() == pytest.approx(values.get(ngram, 0.0) / length, abs=1e-5)


def test_predicting_counts_as_learning_did():
    """Rows of texts are those that scikit-learn's vectorizer gave when the n-grams were found."""
    features, rows = fit_ngrams(TEXTS)
    found = features.project(TEXTS, torch.eye(len(features.columns)))
    assert np.allclose(found.numpy(), rows.toarray(), atol=1e-6)


@given(st.text(max_size=40))
def test_n_grams_are_cut_as_scikit_learn_cuts_them(text):
    """What reads a text to predict is not what counted the texts to learn."""
    vectorizer = TfidfVectorizer(preprocessor=normalise, analyzer="char_wb", ngram_range=SIZES)
    assert cut_ngrams(text) == vectorizer.build_analyzer()(text)


@pytest.mark.parametrize("form", [lambda text: unicodedata.normalize("NFD", text), str.upper])
def test_texts_are_the_same_in_any_normal_form(form):
    """What was learned of composed letters is known of decomposed ones, and of capitals."""
    features, _ = fit_ngrams(TEXTS)
    weight = torch.randn(len(features.columns), 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(features.project([form(text) for text in TEXTS], weight), features.project(TEXTS, weight))


def test_a_text_without_known_n_grams_has_zeros():
    """It has length 0, not 1."""
    features, _ = fit_ngrams(TEXTS)
    assert features.project(["zzz"], torch.ones(len(features.columns), 2)).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("texts", [["ab"], [chr(0x4E00 + i) for i in range(30)], ["", ""]])
def test_texts_without_a_common_n_gram_have_no_features(texts):
    """A single one, all of other letters, or nothing."""
    assert fit_ngrams(texts) is None


@given(st.lists(st.text(min_size=1, max_size=5).filter(lambda s: s.isprintable()), min_size=1, unique=True))
def test_any_n_grams_survive_being_saved(ngrams):
    """Whatever the script, they come back in their order with their weights."""
    features = NgramFeatures(ngrams, torch.rand(len(ngrams), generator=torch.Generator().manual_seed(0)) + 1)
    found = NgramFeatures.restore(features.state_dict())
    assert list(found.columns) == ngrams
    weight = torch.randn(len(ngrams), 3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(found.project(ngrams, weight), features.project(ngrams, weight))


@pytest.mark.parametrize("part", ["listed", "idf", "twice", "shape", "text"])
def test_damaged_features_are_refused(part):
    """Something is missing, doubled, of another size, or no list of n-grams."""
    tensors = dict(NgramFeatures(["ab", "cd"], torch.ones(2)).state_dict())
    changed = {
        "twice": ("listed", torch.tensor(list(b'["ab","ab"]'), dtype=torch.uint8)),
        "text": ("listed", torch.tensor(list(b"\xff{"), dtype=torch.uint8)),
        "shape": ("idf", torch.ones(3)),
    }
    if part in changed:
        name, tensor = changed[part]
        tensors[name] = tensor
    else:
        del tensors[part]
    with pytest.raises((KeyError, ValueError)):
        NgramFeatures.restore(tensors)
