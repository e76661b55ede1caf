"""A run that is called like a pipeline of transformers: the same items in, the same dicts out.

What calls ``pipeline("text-classification", model=…)`` of Hugging Face transformers needs no other change. Of its
options those are known that say something of a run's answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isnan
from typing import TYPE_CHECKING, Any

from ..core.errors import CheckpointError, DataError, shown
from ..core.records import Prediction
from ..serving.items import name_items

if TYPE_CHECKING:
    from ..serving.predictor import Adapted
    from ..tasks.kinds import Kind

Answer = dict[str, Any]


class Pipeline:
    """Answers items as the pipeline of transformers for its task does.

    Args:
        adapted: A loaded run.
        language: Of all items; by default the run's only target.

    Raises:
        CheckpointError: transformers has no pipeline for its kind of task.
    """

    def __init__(self, adapted: Adapted, language: str | None = None) -> None:
        self.adapted = adapted
        self.language = language
        self.task = adapted.kind.words.pipeline_tag
        self._answer = _answers_of(adapted.kind.name)

    def __call__(self, inputs: Any = None, **options: Any) -> Any:
        """Answer one item, or each of several.

        Args:
            inputs: A text or a list of texts. A pair of texts is ``{"text": …, "text_pair": …}``. A question is
                ``{"question": …, "context": …}``, or comes as two arguments of these names.
            options: ``top_k`` of classification: how many classes are given, None for all; of several labels for each
                text the likeliest, each with its own probability, as transformers gives them.

        Returns:
            For classification a list of answers, ``{"label", "score"}``, of one text too; of a pair alone its
            answer; where ``top_k`` is given, a list for each item. The answer to an item without text is the label
            ``""`` with the score 0. For tags a list of entities for each text,
            ``{"entity_group", "score", "word", "start", "end"}``; for questions ``{"score", "start", "end",
            "answer"}``, without a place where the answer is written and is no piece of its context; for text to text
            a list of one ``{"generated_text"}`` for each text, the prompt left out.

        Raises:
            DataError: An item, or an option, is none that this takes.
        """
        if inputs is None and {"question", "context"} <= options.keys():
            inputs = {name: options.pop(name) for name in ("question", "context")}
        single = "text" if isinstance(inputs, str) else "object" if isinstance(inputs, Mapping) else ""
        if not single and not isinstance(inputs, Iterable):
            raise DataError(f"expected a text or a list of texts, got {shown(inputs)}")
        items = [inputs] if single else [one for _, one in name_items(inputs)]
        return self._answer(self, [_item(one) for one in items], single, options)


def _item(given: Any) -> Any:
    """Return an item as a run takes it: pairs of texts have other names in transformers."""
    if isinstance(given, Mapping) and "text" in given and given.keys() <= {"text", "text_pair"}:
        return (given["text"], given["text_pair"]) if "text_pair" in given else given["text"]
    return given


Answering = Callable[[Pipeline, list[Any], str, dict[str, Any]], Any]


def _answers_of(kind: str) -> Answering:
    known: dict[str, Answering] = {
        "classification": _classify,
        "multilabel": _classify,
        "tagging": _tag,
        "span_qa": _ask,
        "generative_qa": _ask,
        "generation": _write,
    }
    if kind not in known:
        raise CheckpointError(
            f"transformers has no pipeline for {kind}; use lingraft.load(folder).predict, which answers every kind"
        )
    return known[kind]


def _classify(self: Pipeline, items: list[Any], single: str, options: dict[str, Any]) -> Any:
    asked = "top_k" in options
    top = options.pop("top_k", 1)
    _refuse(options)
    if top is not None and not (isinstance(top, int) and top > 0):
        raise DataError(f"top_k: expected a number of classes, or None for all, got {shown(top)}")
    found = self.adapted.predict_proba(items, language=self.language)
    ranked = []
    for row in found.values:
        if isnan(row[0]):  # of an item without text
            ranked.append([{"label": "", "score": 0.0}])
            continue
        order = (-row).argsort(kind="stable")[:top]
        ranked.append([{"label": found.classes[i], "score": float(row[i])} for i in order])
    if asked:
        return ranked[0] if single else ranked
    best = [one[0] for one in ranked]
    return best[0] if single == "object" else best  # of one text transformers gives a list, of one object none


def _tag(self: Pipeline, items: list[Any], single: str, options: dict[str, Any]) -> Any:
    _refuse(options)
    found = [
        [
            {"entity_group": one.label, "score": one.score, "word": one.text, "start": one.start, "end": one.end}
            for one in answer.entities
        ]
        for answer in _predicted(self, items)
    ]
    return found[0] if single else found


def _ask(self: Pipeline, items: list[Any], single: str, options: dict[str, Any]) -> Any:
    _refuse(options)
    found = [
        {"score": one.confidence, **_place(one, self.adapted.kind), "answer": one.value}
        for one in _predicted(self, items)
    ]
    return found[0] if single else found


def _place(answer: Prediction, kind: Kind) -> Answer:
    """Return where in its context an answer stands, 0 to 0 of none as in transformers; nothing where it is written."""
    if kind.words.pipeline_tag != "question-answering":
        return {}
    return {"start": answer.start or 0, "end": answer.end or 0}


def _write(self: Pipeline, items: list[Any], single: str, options: dict[str, Any]) -> Any:
    _refuse(options)
    found = [[{"generated_text": one.value}] for one in _predicted(self, items)]
    return found[0] if single else found


def _predicted(self: Pipeline, items: list[Any]) -> list[Prediction]:
    return self.adapted.predict(items, language=self.language)


def _refuse(options: Mapping[str, Any]) -> None:
    if options:
        raise DataError(
            f"{', '.join(map(str, options))}: no option that this answers; known is top_k of classification"
        )
