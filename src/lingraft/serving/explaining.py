"""Why a text got its answer: the words and the character n-grams that speak for it, and those that speak against.

Words by leaving each of them out (representation erasure: Li, Monroe & Jurafsky, 2016), whatever answers; n-grams by
what they add to the logits of the language's n-gram classifier, which is exact, for it is linear.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from ..core.errors import CheckpointError
from ..core.examples import Example, PairExample
from ..core.records import Prediction
from ..model.ensembles import LanguageEnsemble
from ..model.heads.ngrams import NgramClassifier
from ..tasks.kinds import Kind
from ..tasks.kinds.word_splitting import split_words

if TYPE_CHECKING:
    from .predictor import Adapted


@dataclass(frozen=True)
class Word:
    """A word of a text: ``text[start:end]`` of the item's text, or of its second one where ``second``.

    ``score`` is how much less likely, in natural logarithms, the answer is without it: above 0 it speaks for the
    answer.
    """

    text: str
    start: int
    end: int
    score: float
    second: bool = False


@dataclass(frozen=True)
class Ngram:
    """A character n-gram, with a blank where a word begins or ends.

    ``score`` is what it adds to the answer's logit, less the mean of what it adds to all classes.
    """

    text: str
    score: float


@dataclass(frozen=True)
class Explanation:
    """An answer, and what speaks for it: words in the order of the text, n-grams by how much they say."""

    answer: Prediction
    words: tuple[Word, ...]
    ngrams: tuple[Ngram, ...] = ()


def can_explain(kind: Kind) -> bool:
    """Return whether what speaks for an answer is computed for a kind of task."""
    return kind.name == "classification"


def explain_example(adapted: Adapted, example: Example, language: str) -> Explanation:
    """Explain the class that a text, or a pair of texts, gets.

    Args:
        adapted: Who answers.
        example: Of classification.
        language: Whose parts are used.

    Raises:
        CheckpointError: The run is for another kind of task.
    """
    if not can_explain(adapted.kind):
        raise CheckpointError(
            f"the run is for {adapted.kind.name}; what speaks for an answer is computed of classes of texts alone"
        )
    without = list(_leave_out(example))
    asked = [replace(one, id=str(number)) for number, one in enumerate([example, *(one for _, one in without)])]
    answer, *others = adapted.predict_examples(asked, language, probabilities=True)
    place = adapted.identity.labels.index(answer.value)
    words = tuple(
        replace(word, score=_logarithm(answer.probabilities[place]) - _logarithm(other.probabilities[place]))
        for (word, _), other in zip(without, others, strict=True)
    )
    return Explanation(replace(answer, example_id=example.id), words, _ngrams_for(adapted, example, language, place))


def _leave_out(example: Example) -> Iterator[tuple[Word, Example]]:
    """Yield each word, and the example without it; a text of one word keeps it."""
    assert isinstance(example, PairExample)
    for number, text in enumerate(example.texts):
        places = split_words(text)
        for start, end in places if len(places) > 1 else ():
            word = Word(text[start:end], start, end, 0.0, second=bool(number))
            rest = f"{text[:start].rstrip()} {text[end:].lstrip()}".strip()
            yield word, replace(example, text_b=rest) if word.second else replace(example, text_a=rest)


def _logarithm(probability: float) -> float:
    return math.log(max(probability, 1e-12))


def _ngrams_for(adapted: Adapted, example: Example, language: str, place: int) -> tuple[Ngram, ...]:
    """Return what the language's n-gram classifier has for a class, what says most first; nothing where it has none."""
    ensembles = adapted.model.adaptation.ensembles
    if language not in ensembles or len(example.texts) > 1:
        return ()
    ensemble = cast(LanguageEnsemble, ensembles[language])
    weights = dict(zip(ensemble.classifiers, ensemble.weights.tolist()[1:], strict=True))
    found = [
        Ngram(ngram, weights[name] * float(added[place] - added.mean()))
        for name, classifier in ensemble.classifiers.items()
        if isinstance(classifier, NgramClassifier)
        for ngram, added in classifier.shares(example.texts[0]).items()
    ]
    return tuple(sorted(found, key=lambda one: (-abs(one.score), one.text)))
