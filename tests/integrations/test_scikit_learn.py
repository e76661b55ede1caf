"""The classifier and the regressor with scikit-learn's interface."""

import pickle

import numpy as np
import pytest
from pandas import DataFrame
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

import lingraft
from invented import FILLER, SOURCE, TARGET, TOPICS, labelled_texts, translated
from lingraft.core.errors import ConfigError, DataError, RunError


@pytest.fixture(scope="module")
def settings(tiny_checkpoint):
    """Of a run that takes a moment."""
    return {"backbone": {"checkpoint": str(tiny_checkpoint), "max_length": 32}, "device": "cpu"}


@pytest.fixture(scope="module")
def texts():
    """Texts of the source language, and their topics."""
    return tuple(map(list, zip(*labelled_texts(60), strict=True)))


@pytest.fixture
def classifier(settings):
    """One that learns from a source language."""
    return lingraft.LingraftClassifier(TARGET, source_language=SOURCE, preset="instant", settings=settings)


@pytest.fixture(scope="module")
def fitted(settings, texts, tmp_path_factory):
    """One that has learnt, in a folder that it keeps."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    learning = lingraft.LingraftClassifier(
        TARGET, source_language=SOURCE, preset="instant", settings=settings, output_dir=folder
    )
    return learning.fit(*texts)


def test_it_answers_as_the_run_that_it_stands_for(texts, settings, tmp_path):
    """The same recipe on the same data, in Python; labels are those that were given, be they numbers."""
    said, topics = texts
    known = sorted(set(topics))
    numbers = np.array([10 * known.index(topic) for topic in topics])
    pairs = [{"source": text, "target": translated(text)} for text in said[40:]]
    ours = lingraft.LingraftClassifier(
        "yo", source_language="en", pairs=pairs, preset="instant", settings=settings, random_state=3
    ).fit(said[:40], numbers[:40])
    recipe = settings | {
        "preset": "instant",
        "task": {"name": "classification", "source_language": "en", "target_languages": ["yo"]},
        "output_dir": str(tmp_path / "run"),
        "seeds": [3],
        "shots": {"folds": 0},
    }
    rows = [{"text": text, "label": str(number)} for text, number in zip(said[:40], numbers, strict=False)]
    theirs = lingraft.load(lingraft.run(recipe, data={"train": {"en": rows}, "parallel": pairs}, quiet=True))
    asked = [translated(text) for text in said[40:]]
    found = theirs.predict_proba(asked)
    assert ours.classes_.tolist() == [0, 10, 20]
    np.testing.assert_allclose(
        ours.predict_proba(asked), found.values[:, [found.classes.index(str(one)) for one in (0, 10, 20)]], atol=1e-6
    )
    assert ours.predict(asked).tolist() == [int(one.value) for one in theirs.predict(asked)]
    assert ours.adapted.embed(asked[:2]).shape == (2, theirs.backbone.stack.width)


def test_labels_of_both_languages_are_learnt_from(texts, classifier):
    """Each text is of the language that is said of it; labels of the target change the answers."""
    said, topics = texts
    mixed = [*said[:30], *map(translated, said[30:54])]
    languages = ["en"] * 30 + ["yor"] * 24
    asked = [translated(text) for text in said[54:]]
    both = clone(classifier).fit(mixed, topics[:54], languages=languages)
    assert both.adapted.identity.languages == (TARGET,)
    assert both.priors_.tolist() == [topics[:54].count(one) / 54 for one in sorted(set(topics))]
    one_language = clone(classifier).set_params(source_language=None).fit(mixed[30:], topics[30:54])
    assert one_language.predict(asked).shape == (6,)


def test_a_text_that_is_empty_gets_the_shares_of_the_classes(texts, fitted):
    """So that a row without text does not stop a table."""
    said, topics = texts
    shares = [topics.count(one) / len(topics) for one in sorted(set(topics))]
    assert fitted.predict_proba(["  ", said[0]], language=SOURCE)[0].tolist() == pytest.approx(shares)


def test_it_is_pickled_without_its_backbone(texts, fitted):
    """What comes back answers the same, and is a few kilobytes here."""
    kept = pickle.dumps(fitted)
    theirs, ours = (one.predict_proba(texts[0], language=SOURCE) for one in (pickle.loads(kept), fitted))
    np.testing.assert_array_equal(theirs, ours)
    assert len(kept) < len(fitted.adaptation_) + 10_000


def test_the_run_is_kept_where_a_folder_is_given(texts, fitted):
    """With its report; another fit does not overwrite it."""
    said, topics = texts
    assert (fitted.output_dir / "report.html").exists()
    theirs = lingraft.load(fitted.output_dir).predict(said, language=SOURCE)
    assert [one.value for one in theirs] == fitted.predict(said, language=SOURCE).tolist()
    with pytest.raises(RunError, match=r"have changed: .*labelled examples"):
        clone(fitted).fit(said[:40], topics[:40])


def test_scikit_learn_searches_and_validates_it(texts, classifier):
    """Inside a pipeline, over a parameter, in folds; the best is fitted again."""
    steps = make_pipeline(FunctionTransformer(lambda given: [one.lower() for one in given]), classifier)
    search = GridSearchCV(steps, {"lingraftclassifier__random_state": [1]}, cv=2).fit(*texts)
    assert search.predict(texts[0]).tolist() == search.best_estimator_.predict(texts[0]).tolist()
    assert 0 <= search.best_score_ <= 1


CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]


@pytest.mark.parametrize("estimator", [lingraft.LingraftClassifier, lingraft.LingraftRegressor])
@pytest.mark.parametrize("check", CHECKS)
def test_what_of_scikit_learns_checks_is_not_about_numbers_passes(check, estimator, settings):
    """All others fit tables of numbers, and scikit-learn skips them for whoever says that it takes texts."""
    getattr(estimator_checks, check)(estimator.__name__, estimator(TARGET, source_language=SOURCE, settings=settings))


# ---- Numbers ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def numbered():
    """Texts of the source language, and how many of their words are about birds, from 10 on."""
    rng = np.random.default_rng(4)
    counts = [int(count) for count in rng.integers(0, 5, 40)]
    words = [[*rng.choice(TOPICS["bird"], count), *rng.choice(FILLER, 5 - count)] for count in counts]
    return [" ".join(rng.permutation(one)) for one in words], [10.0 + count for count in counts]


@pytest.fixture
def regressor(settings):
    """One that learns from a source language."""
    return lingraft.LingraftRegressor(TARGET, source_language=SOURCE, preset="instant", settings=settings)


def test_numbers_are_told_as_the_run_tells_them(numbered, regressor, settings, tmp_path):
    """On the scale that they were given in; an empty text gets their mean, and a pickle answers the same."""
    texts, numbers = numbered
    recipe = settings | {
        "preset": "instant",
        "task": {"name": "regression", "source_language": SOURCE, "target_languages": [TARGET]},
        "output_dir": str(tmp_path / "run"),
        "seeds": [1],
        "shots": {"folds": 0},
    }
    rows = [{"text": text, "number": number} for text, number in zip(texts, numbers, strict=True)]
    theirs = lingraft.load(lingraft.run(recipe, data={"train": {SOURCE: rows}}, quiet=True))
    found = regressor.fit(np.array(texts), np.array(numbers)).predict(texts, language=SOURCE)
    assert found.tolist() == [float(one.value) for one in theirs.predict(texts, language=SOURCE)]
    assert regressor.predict(["  "]).tolist() == [np.mean(numbers)]
    assert np.corrcoef(found, numbers)[0, 1] > 0.5
    again = pickle.loads(pickle.dumps(regressor))
    np.testing.assert_array_equal(again.predict(texts), regressor.predict(texts))
    assert regressor.score(texts, numbers) == pytest.approx(r2_score(numbers, regressor.predict(texts)))


def test_pairs_of_texts_get_numbers(numbered, regressor):
    """Read as pairs."""
    texts, numbers = numbered
    pairs = list(zip(texts, texts[::-1], strict=True))
    regressor.fit(pairs, numbers)
    assert regressor.adapted.identity.paired
    assert regressor.predict(pairs[:3]).shape == (3,)


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        (["a", "b"], r"expected a number for each text, got \['a', 'b'\]"),
        ([1.0], r"expected a number for each of 2 texts, got numbers of shape \(1,\)"),
        ([[1.0], [2.0]], "got numbers of shape"),
        ([1.0, np.nan], "has no number|expected a number"),
        ([2.0, 2.0], "all .* training numbers are 2; there is nothing to learn from"),
    ],
)
def test_what_are_no_numbers_is_one_clear_error(regressor, numbers, told):
    """What came, and what would do."""
    with pytest.raises(DataError, match=told):
        regressor.fit(["ada beli", "cora dune"], numbers)
    with pytest.raises(NotFittedError):
        regressor.predict(["ada"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("ada", "expected texts, or pairs of texts, got 'ada'"),
        (5, "expected texts, or pairs of texts, got 5"),
        (["ada", 5], "text 2 of 2: expected a text, or two, got 5"),
        ([("ada", "be", "cora")], "text 1 of 1: expected a text, or two"),
        (DataFrame({"text": ["ada", "beli"]}), "expected the texts of a DataFrame: one column, as frame"),
    ],
)
def test_what_are_no_texts_is_one_clear_error(classifier, given, told):
    """What came, and what would do."""
    with pytest.raises(DataError, match=told):
        classifier.fit(given, ["a", "b"])


def test_other_mistakes_are_one_clear_error_each(classifier, texts):
    """Numbers that do not match, languages that are not its own, no language at all, nothing learnt yet."""
    said, topics = texts
    with pytest.raises(DataError, match="expected a label for each of 60 texts, got labels of shape"):
        classifier.fit(said, topics[:5])
    with pytest.raises(DataError, match=f"languages: expected {SOURCE} or {TARGET}, got 'hau'"):
        classifier.fit(said, topics, languages=["hau"] * 60)
    with pytest.raises(DataError, match="languages: expected one for each of 60 texts"):
        classifier.fit(said, topics, languages=["hau"])
    with pytest.raises(ConfigError, match="language: expected the name of one language, as 'swh', got None"):
        lingraft.LingraftClassifier().fit(said, topics)
    with pytest.raises(NotFittedError):
        clone(classifier).predict(said)


def test_labels_of_which_a_run_would_make_one_are_refused(classifier, texts):
    """By blanks at their ends, or because it is told to merge spellings."""
    said, _ = texts
    with pytest.raises(DataError, match="the labels 'a' and 'a ' differ in blanks at their ends alone"):
        classifier.fit(said, ["a", "a ", "b"] * 20)
    merging = clone(classifier).set_params(settings={"task": {"labels": "normalise"}})
    with pytest.raises(ConfigError, match=r"settings, task\.labels: the labels are those of y"):
        merging.fit(said, ["Bird", "bird", "stone"] * 20)
