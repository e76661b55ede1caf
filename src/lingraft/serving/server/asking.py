"""From what a request asks to what a trained run computes, and from that to the answer."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field

from ...core.errors import DataError
from ...core.examples import Example
from ...core.records import Prediction
from ..answer_lines import answer_columns
from ..explaining import Explanation, explain_example
from ..items import LARGEST, chunks_of
from ..predictor import Adapted, check_abstain, check_probabilities
from .limits import Limits, characters_of, check_length, check_number, check_words

Language = Annotated[
    str | None,
    Field(
        max_length=100,
        description="In any spelling; by default the run's only target language or, of several, that of each text by "
        "its letters.",
        examples=["yo"],
    ),
]


class Asked(BaseModel):
    """What every request may say."""

    model_config = ConfigDict(extra="forbid", strict=True)

    language: Language = None


class AskedAnswers(Asked):
    """Items to answer."""

    items: Annotated[
        list[Any],
        Field(
            description="A text each, a pair of texts as a list, words as a list, or an object with the columns that "
            "the run's task takes; null or an empty text has an empty answer.",
            examples=[["Ba wo ni oju ojo?"]],
        ),
    ]
    probabilities: Annotated[bool, Field(description="Also give the probability of every class.")] = False
    abstain: Annotated[float | None, Field(ge=0, le=1, description="Withhold answers of a lower confidence.")] = None


class AskedExplanation(Asked):
    """An item whose answer is to be explained."""

    item: Annotated[Any, Field(description="A text, or a pair of texts as a list.", examples=["Ba wo ni oju ojo?"])]


@dataclass(frozen=True, slots=True)
class Read:
    """Items as a run reads them."""

    code: str | None
    """The language whose parts are used; None: that of each item, by its letters."""
    remarks: tuple[str, ...]
    """What is to be said of that."""
    items: tuple[tuple[Any, Example | None], ...]
    """Each with its example, where it has a text."""

    @property
    def examples(self) -> list[Example]:
        """Return those that there are."""
        return [example for _, example in self.items if example is not None]


def read_items(adapted: Adapted, asked: AskedAnswers, limits: Limits) -> Read:
    """Read what answers are asked for.

    Raises:
        LingraftError: An item, or the language, is not what the run takes; or there is too much of something.
    """
    check_number(asked.items, limits)
    if asked.probabilities:
        check_probabilities(adapted.kind)
    check_abstain(adapted.kind, asked.abstain)
    total = len(asked.items)
    return _read(adapted, asked, [(f"item {n} of {total}", one) for n, one in enumerate(asked.items, 1)], limits)


def read_text(adapted: Adapted, asked: AskedExplanation, limits: Limits) -> Read:
    """Read what is to be explained.

    Raises:
        LingraftError: As for :func:`read_items`; or it has no text.
    """
    read = _read(adapted, asked, [("the text", asked.item)], limits)
    if not read.examples:
        raise DataError("the text is empty, so nothing speaks for any answer; give a text")
    for example in read.examples:
        check_words(example, limits)
    return read


def _read(adapted: Adapted, asked: Asked, named: Sequence[tuple[str, Any]], limits: Limits) -> Read:
    code, remarks = adapted.resolve(asked.language)
    if adapted.identity.paired:  # JSON has lists alone
        named = [(where, tuple(one) if isinstance(one, list) else one) for where, one in named]
    try:
        found = tuple(adapted.read_examples(named, code))
    except RecursionError:
        raise DataError(
            "an item is nested too deeply; expected a text, a list of texts, or an object of texts"
        ) from None
    for (where, _), (_, example) in zip(named, found, strict=True):
        if example is not None:
            check_length(example, where, limits)
    return Read(code, remarks, found)


# ---- What is computed together -----------------------------------------------------------------------


def compute(adapted: Adapted, key: Hashable, examples: Sequence[Example]) -> list[Prediction | Explanation]:
    """Compute what several requests want of examples, which may have the same ids.

    Args:
        adapted: What answers.
        key: What is wanted, ``predict`` or ``explain``, the language whose parts are used, and perhaps more.
        examples: Of all requests.
    """
    wanted, code, *_ = cast(tuple[str, str | None], key)
    named = [replace(one, id=str(number), group=str(number)) for number, one in enumerate(examples)]
    if wanted == "explain":
        return [explain_example(adapted, one, code or one.language) for one in named]
    probable, chunks = adapted.kind.probabilities is not None, chunks_of(named, LARGEST, characters_of)
    return [one for chunk in chunks for one in adapted.predict_examples(chunk, code, probabilities=probable)]


# ---- What is said ------------------------------------------------------------------------------------


def describe_answers(adapted: Adapted, asked: AskedAnswers, read: Read, found: Sequence[Prediction]) -> dict[str, Any]:
    """Return the answers of a request, each as ``lingraft predict`` writes it behind the user's own columns.

    Args:
        adapted: What answered.
        asked: The request.
        read: Its items.
        found: A prediction for each example of them.
    """
    options = {"probabilities": asked.probabilities, "abstain": asked.abstain, "detected": read.code is None}
    left = iter(found)
    answers = [
        Prediction("", read.code or "", "", 0.0)
        if example is None
        else adapted.kind.finish(item, next(left), asked.abstain)
        for item, example in read.items
    ]
    return {
        "language": read.code,
        "remarks": list(read.remarks),
        "answers": [_columns(adapted, answer, options) for answer in answers],
    }


def describe_explanation(adapted: Adapted, read: Read, found: Explanation) -> dict[str, Any]:
    """Return an answer with all its probabilities, its words in order, and n-grams by how much they say.

    Args:
        adapted: What answered.
        read: The item.
        found: Its explanation.
    """
    return {
        "language": found.answer.language,
        "remarks": list(read.remarks),
        "answer": _columns(adapted, found.answer, {"probabilities": True}),
        "words": [
            {"text": one.text, "start": one.start, "end": one.end, "score": round(one.score, 6), "second": one.second}
            for one in found.words
        ],
        "ngrams": [{"text": one.text, "score": round(one.score, 6)} for one in found.ngrams],
    }


def _columns(adapted: Adapted, answer: Prediction, options: dict[str, Any]) -> dict[str, Any]:
    return answer_columns(answer, adapted.kind, adapted.identity.labels, options)
