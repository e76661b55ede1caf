"""A classifier and a regressor of texts with scikit-learn's interface: fit, predict, cross-validate, search, pickle."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from .. import load, run
from ..core.errors import ConfigError, DataError, shown
from ..core.progress import Reporter
from ..data.languages import canonical
from ..model.checkpoint import adaptation_path
from ..recipe.parsing import parse_recipe
from ..runs.given import given_data
from ..runs.pipeline import run as run_recipe
from ..serving.items import name_items

if TYPE_CHECKING:
    from ..serving.predictor import Adapted

Array = NDArray[Any]


class TextEstimator(BaseEstimator):  # type: ignore[misc]
    """What is the same whatever is predicted of texts: their languages, the run that learns, what a pickle keeps."""

    task: ClassVar[str]
    """Name of the task of the run."""
    target: ClassVar[str]
    """Column of what is right."""

    def __init__(
        self,
        language: str | None = None,
        *,
        source_language: str | None = None,
        pairs: Any = None,
        preset: str | None = None,
        settings: Mapping[str, Any] | None = None,
        random_state: int = 1,
        output_dir: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.language = language
        self.source_language = source_language
        self.pairs = pairs
        self.preset = preset
        self.settings = settings
        self.random_state = random_state
        self.output_dir = output_dir
        self.verbose = verbose

    def _learn_from(self, texts: Sequence[Any], right: Sequence[Any], languages: Sequence[str] | None) -> None:
        """Learn what is right of some texts, by a run.

        Args:
            texts: ``N`` texts, or pairs of texts.
            right: Their labels, or numbers, as a run reads them.
            languages: The language of each.
        """
        by_language = self._rows(texts, right, languages)
        data = {"train": by_language} | ({} if self.pairs is None else {"parallel": self.pairs})
        shots = isinstance(by_language, dict) and self.language in by_language
        with tempfile.TemporaryDirectory(prefix="lingraft-") as folder:
            recipe = self._recipe(Path(self.output_dir or folder), paired=_are_pairs(texts), shots=shots)
            self.adaptation_ = _learn(recipe, data, verbose=self.verbose, kept=self.output_dir is not None)
        self._loaded: Adapted | None = None

    @property
    def adapted(self) -> Adapted:
        """What was learnt, as :func:`lingraft.load` gives it, with ``explain`` and ``embed``."""
        check_is_fitted(self)
        if getattr(self, "_loaded", None) is None:
            with tempfile.TemporaryDirectory(prefix="lingraft-") as folder:
                (path := Path(folder) / "adaptation.safetensors").write_bytes(self.adaptation_)
                self._loaded = load(path)
        assert self._loaded is not None
        return self._loaded

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the loaded network, which is loaded again where it is needed."""
        return {**super().__getstate__(), "_loaded": None}

    def __sklearn_tags__(self) -> Any:
        """Say that it takes texts, and no table of numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        return tags

    def _recipe(self, folder: Path, *, paired: bool, shots: bool) -> dict[str, Any]:
        """Return the recipe of a run that is not cross-validated, for that is up to whoever fits."""
        if not isinstance(self.language, str):
            raise ConfigError([f"language: expected the name of one language, as 'swh', got {shown(self.language)}"])
        columns = ("text", "text_b", self.target) if paired else ("text", self.target)
        task: dict[str, Any] = {"name": self.task, "fields": {name: name for name in columns}}
        if self.source_language is None:
            task["language"] = self.language
        else:
            task |= {"source_language": self.source_language, "target_languages": [self.language]}
        own = {
            key: dict(value) if isinstance(value, Mapping) else value for key, value in (self.settings or {}).items()
        }
        preset = {} if self.preset is None else {"preset": self.preset}
        usual = {
            "output_dir": str(folder),
            "seeds": [self.random_state],
            "shots": {"folds": 0} | ({"k": "all"} if shots else {}),
        }
        return {**usual, **preset, **own, "task": task | own.get("task", {})}

    def _rows(self, texts: Sequence[Any], right: Sequence[Any], languages: Sequence[str] | None) -> Any:
        """Return labelled rows, by language where there are two."""
        rows = [
            {"text": text, self.target: one}
            if isinstance(text, str)
            else {**dict(zip(("text", "text_b"), text, strict=True)), self.target: one}
            for text, one in zip(texts, right, strict=True)
        ]
        usual = self.source_language or self.language
        if languages is None:
            return rows if self.source_language is None else {usual: rows}
        if isinstance(languages, str) or len(languages) != len(rows):
            raise DataError(f"languages: expected one for each of {len(rows)} texts, got {shown(languages)}")
        known = {canonical(code): code for code in (self.source_language, self.language) if code is not None}
        found: dict[str, list[dict[str, Any]]] = {}
        for row, code in zip(rows, languages, strict=True):
            if (name := known.get(canonical(code))) is None:
                raise DataError(f"languages: expected {' or '.join(known.values())}, got {shown(code)}")
            found.setdefault(name, []).append(row)
        return rows if self.source_language is None else found


class LingraftClassifier(ClassifierMixin, TextEstimator):  # type: ignore[misc]
    """Classify texts of a language with a frozen multilingual model, and labels of it or of another language.

    Args:
        language: Of the texts that are predicted, in any spelling (``"sw"``, ``"swh-Latn"``).
        source_language: Of labelled texts in another language, if there are some; ``fit`` is told which these are.
        pairs: Translations without labels, as a table (see :func:`lingraft.run`) with a column for each language.
        preset: ``fast``, ``instant``, ``best``, …; None is ``fast``.
        settings: Further settings of the recipe, as in its YAML file: ``{"train": {"num_train_epochs": 3}}``.
        random_state: Seed.
        output_dir: Folder of the run with its report; None keeps none.
        verbose: Say what is done.

    Attributes:
        classes_: The labels, sorted, as they were given.
        adaptation_: What was learnt, as the bytes of ``adaptation.safetensors``; it is what a pickle keeps.
        adapted: The same, loaded, as :func:`lingraft.load` gives it, with ``explain`` and ``embed``.
        priors_: Share of each class among the labels: what a text that is empty gets.
    """

    task, target = "classification", "label"

    def fit(self, X: Sequence[Any], y: Sequence[Any], languages: Sequence[str] | None = None) -> Self:
        """Learn from labelled texts.

        Args:
            X: ``N`` texts, or pairs of texts.
            y: Their labels.
            languages: The language of each, ``language`` or ``source_language``; by default all are of the
                source language, where there is one.

        Raises:
            LingraftError: With one message that says what was expected, what came, and what to do.
        """
        texts = _texts(X)
        labels = np.asarray(y)
        check_classification_targets(labels)
        if labels.shape != (len(texts),):
            raise DataError(f"expected a label for each of {len(texts)} texts, got labels of shape {labels.shape}")
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        _refuse_alike(self.classes_, self.settings)
        self.priors_ = np.bincount(numbers) / len(numbers)
        self._learn_from(texts, [_written(label) for label in self.classes_[numbers]], languages)
        return self

    def predict(self, X: Sequence[Any], language: str | None = None) -> Array:
        """Return the label of each of ``N`` texts.

        Args:
            X: Texts, or pairs.
            language: Of all of them; by default that of the classifier.
        """
        best = self.predict_proba(X, language).argmax(1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, X: Sequence[Any], language: str | None = None) -> Array:
        """Return the probability of each class, ``[N, C]`` in the order of ``classes_``.

        Args:
            X: Texts, or pairs.
            language: Of all of them; by default that of the classifier.
        """
        check_is_fitted(self)
        found = self.adapted.predict_proba(_texts(X), language=language or self.language)
        columns = [found.classes.index(_written(label)) for label in self.classes_]
        values = found.values[:, columns]
        return np.where(np.isnan(values), self.priors_, values)


class LingraftRegressor(RegressorMixin, TextEstimator):  # type: ignore[misc]
    """Give a number to texts of a language with a frozen multilingual model, and numbers of it or of another language.

    Args:
        language: As of :class:`LingraftClassifier`, as all others are.
        source_language: Of texts with numbers in another language, if there are some.
        pairs: Translations without numbers.
        preset: ``fast``, ``instant``, ``best``, …; None is ``fast``.
        settings: Further settings of the recipe.
        random_state: Seed.
        output_dir: Folder of the run with its report; None keeps none.
        verbose: Say what is done.

    Attributes:
        adaptation_: What was learnt, as the bytes of ``adaptation.safetensors``; it is what a pickle keeps.
        adapted: The same, loaded, as :func:`lingraft.load` gives it, with ``embed``.
        mean_: Of the numbers: what a text that is empty gets.
    """

    task, target = "regression", "number"

    def fit(self, X: Sequence[Any], y: Sequence[float], languages: Sequence[str] | None = None) -> Self:
        """Learn from texts with numbers.

        Args:
            X: ``N`` texts, or pairs of texts.
            y: Their numbers.
            languages: The language of each, ``language`` or ``source_language``; by default all are of the
                source language, where there is one.

        Raises:
            LingraftError: With one message that says what was expected, what came, and what to do.
        """
        texts, numbers = _texts(X), _numbers(y)
        if numbers.shape != (len(texts),):
            raise DataError(f"expected a number for each of {len(texts)} texts, got numbers of shape {numbers.shape}")
        self._learn_from(texts, numbers.tolist(), languages)
        self.mean_ = float(numbers.mean())
        return self

    def predict(self, X: Sequence[Any], language: str | None = None) -> Array:
        """Return the number of each of ``N`` texts, ``[N]``.

        Args:
            X: Texts, or pairs.
            language: Of all of them; by default that of the regressor.
        """
        check_is_fitted(self)
        found = self.adapted.predict(_texts(X), language=language or self.language)
        return np.array([float(one.value) if one.value else self.mean_ for one in found])


def _learn(recipe: Mapping[str, Any], data: Mapping[str, Any], *, verbose: bool, kept: bool) -> bytes:
    """Return what a run learns; where nobody looks into its folder, it has no pages and is not loaded as a check."""
    if kept:
        return adaptation_path(run(recipe, data=data, quiet=not verbose)).read_bytes()
    with given_data(data) as settings:
        parsed, reporter = parse_recipe(recipe, settings), Reporter(quiet=not verbose)
        found = run_recipe(parsed, reporter=reporter, verify=lambda folder: {}, pages=lambda folder: None)
    return adaptation_path(found).read_bytes()


def _refuse_alike(labels: Array, settings: Mapping[str, Any] | None) -> None:
    """Refuse labels of which a run would make one.

    Raises:
        LingraftError: Two of them are written alike, or the run is told to merge spellings.
    """
    written: dict[str, Any] = {}
    for label in labels:
        other = written.setdefault(_written(label), label)
        if other is not label:
            raise DataError(
                f"the labels {shown(str(other))} and {shown(str(label))} differ in blanks at their ends alone, and a "
                "run reads both as one; give them one spelling"
            )
    task = (settings or {}).get("task")
    if isinstance(task, Mapping) and "labels" in task:
        raise ConfigError(["settings, task.labels: the labels are those of y; leave it out, and merge spellings in y"])


def _written(label: Any) -> str:
    """Return a label as a run writes it."""
    return str(label).strip()


def _numbers(given: Any) -> Array:
    """Return numbers as an array of float64.

    Raises:
        DataError: They are something else.
    """
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"expected a number for each text, got {shown(given)}") from None


def _are_pairs(texts: Sequence[Any]) -> bool:
    """Return whether the texts are pairs; what is mixed is refused where it is read."""
    return bool(texts) and not isinstance(texts[0], str)


def _texts(given: Any) -> list[Any]:
    """Return texts, or pairs of texts, as a list.

    Raises:
        DataError: They are something else.
    """
    if isinstance(given, str | bytes | Mapping) or not hasattr(given, "__iter__"):
        raise DataError(f"expected texts, or pairs of texts, got {shown(given)}")
    texts = [tuple(one) if isinstance(one, list | np.ndarray) else one for _, one in name_items(given)]
    for number, one in enumerate(texts, start=1):
        pair = isinstance(one, tuple) and len(one) == 2 and all(isinstance(part, str) for part in one)
        if not (isinstance(one, str) or pair):
            raise DataError(f"text {number} of {len(texts)}: expected a text, or two, got {shown(one)}")
    return texts
