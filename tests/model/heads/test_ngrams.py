"""The character n-gram classifier: label projection by ridge regression."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from lingraft.model.heads.ngrams import FLOOR, NgramClassifier, centred_logarithms, fit_ngram_classifier, log_odds
from lingraft.model.kernel_ridge import centre_kernel, fit_ridge
from lingraft.model.ngram_features import NgramFeatures, fit_ngrams

SYLLABLES = {0: ("ba", "bo", "bi"), 1: ("ku", "ka", "ke")}


def invented_texts(count, seed):
    """Texts of two classes, told apart by the syllables of their words; and the classes."""
    generator = np.random.default_rng(seed)
    classes = generator.integers(0, 2, count)
    texts = [
        " ".join("".join(generator.choice(SYLLABLES[c], 3)) + generator.choice(["n", "m"]) for _ in range(6))
        for c in classes
    ]
    known = dict(zip(texts, classes, strict=True))
    return list(known), np.asarray(list(known.values()))


def right(logits, classes):
    """The share of texts whose class has the highest logit."""
    return float((logits.argmax(1).numpy() == classes).mean())


def test_weights_are_those_of_the_regression_onto_centred_logarithms():
    """In dual form, of the texts' n-grams."""
    texts, classes = invented_texts(40, 0)
    targets = np.eye(2)[classes] * 0.7 + 0.15
    classifier, left_out = fit_ngram_classifier(texts, targets)
    _, rows = fit_ngrams(texts)
    logs = np.log(targets + FLOOR)
    expected = fit_ridge((rows @ rows.T).toarray(), logs - logs.mean(1, keepdims=True))
    assert np.allclose(classifier(texts).detach().numpy(), (rows @ rows.T).toarray() @ expected.dual, atol=1e-4)
    assert np.allclose(left_out.numpy(), expected.left_out, atol=1e-5)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_classes_are_learned_from_soft_targets(mode):
    """New texts of the same language come out right."""
    texts, classes = invented_texts(60, 1)
    new, expected = invented_texts(80, 2)
    classifier = getattr(fit_ngram_classifier(texts, np.eye(2)[classes] * 0.8 + 0.1)[0], mode)()
    assert right(classifier(new).detach(), expected) > 0.95


def test_a_text_is_not_among_what_its_own_logits_were_fitted_to():
    """Where the classes have nothing to do with the words, what is left out is wrong as often as right."""
    texts, _ = invented_texts(200, 4)
    classes = np.random.default_rng(5).integers(0, 2, len(texts))
    _, left_out = fit_ngram_classifier(texts, np.eye(2)[classes])
    assert abs(right(left_out, classes) - 0.5) < 0.12


def test_a_text_of_unknown_n_grams_has_no_opinion():
    """There is no bias that would say which class is more frequent."""
    texts, _ = invented_texts(60, 7)
    uneven = np.eye(2)[np.where(np.arange(len(texts)) < 5, 1, 0)]
    assert fit_ngram_classifier(texts, uneven)[0](["zzz xxx"]).tolist() == [[0.0, 0.0]]


def test_labels_are_learnt_with_a_bias_as_scikit_learn_does():
    """Of new texts, and of each text by a fit without it; what has no known n-gram gets the bias."""
    texts, classes = invented_texts(40, 0)
    shares = np.column_stack([0.1 + 0.7 * classes, np.full(len(texts), 0.05), 0.3 - 0.2 * classes])
    classifier, left_out = fit_ngram_classifier(texts, shares, independent=True)
    features, rows = fit_ngrams(texts)
    wanted = log_odds(shares)
    strength = fit_ridge(centre_kernel((rows @ rows.T).toarray()), wanted - wanted.mean(0), centred=True).strength
    ridge, (new, _) = Ridge(alpha=strength), invented_texts(20, 2)
    expected = ridge.fit(rows.toarray(), wanted).predict(
        features.project(new, torch.eye(len(features.columns))).numpy()
    )
    assert np.allclose(classifier(new).detach().numpy(), expected, atol=1e-4)
    assert np.allclose(classifier(["zzz xxx"]).detach().numpy(), ridge.intercept_, atol=1e-4)
    alone = cross_val_predict(ridge, rows.toarray(), wanted, cv=LeaveOneOut())
    assert np.allclose(left_out.numpy(), alone, atol=1e-4)
    again = NgramClassifier.restore(classifier.state_dict())
    assert torch.equal(again(new), classifier(new))


def test_log_odds_of_what_is_certain_are_bounded():
    """By the floor, and those of one half are nothing."""
    assert log_odds(np.array([[0.5, 1.0, 0.0]]))[0] == pytest.approx([0, np.log(1001), -np.log(1001)])


def test_logarithms_of_rows_have_no_mean():
    """And none is lower than that of the floor."""
    found = centred_logarithms(np.array([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]]))
    assert np.allclose(found.sum(1), 0)
    assert np.isclose(found[0, 0] - found[0, 1], np.log((1 + FLOOR) / FLOOR))


@pytest.mark.parametrize("texts", [[], [f"ba bo {i}" for i in range(19)], [chr(0x4E00 + i) for i in range(30)]])
def test_too_little_teaches_nothing(texts):
    """No texts, too few of them, or none that has an n-gram in common with another."""
    assert fit_ngram_classifier(texts, np.full((len(texts), 2), 0.5)) is None


@pytest.mark.parametrize("part", ["weight", "shape"])
def test_a_damaged_classifier_is_refused(part):
    """Its weights are missing, or are not those of its n-grams."""
    classifier = NgramClassifier(NgramFeatures(["ab", "cd"], torch.ones(2)), torch.ones(2, 3))
    tensors = dict(classifier.state_dict()) | {"weight": torch.ones(5, 3)}
    if part == "weight":
        del tensors["weight"]
    with pytest.raises((KeyError, ValueError)):
        NgramClassifier.restore(tensors)
