"""AfriQA's own files: questions in one language, passages and answers in English, one JSON object a line.

The offsets of some answers are off by a few characters, and some questions are answered by yes or no, by nothing,
or by words that the passage does not have: what has no span cannot be pointed at, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from ..core.examples import Answer, SpanExample
from . import sources
from .languages import canonical
from .squad import context_group
from .table import cell_of, text_of

PASSAGES = "eng-Latn"


def answered_by_spans(path: Path, *, language: str, left_out: list[str] | None = None) -> Iterator[SpanExample]:
    """Yield the questions of a file whose answer is in the passage, where it is nearest to the offset that is given.

    Args:
        path: ``gold_span_passages.afriqa.LANGUAGE.en.SPLIT.json``; its keys are ``question_lang``, ``context`` and
            ``answer_pivot``, ``{"text": [...], "answer_start": [...]}``.
        language: Of the questions, in any spelling.
        left_out: Takes the identifiers of the other questions.

    Raises:
        DataError: A line is not of this shape.
    """
    code = canonical(language)
    for number, row in sources.build("jsonl")(path):
        where = f"{path}, line {number}"
        context = row.get("context")
        answers = _answers(row, where, context) if isinstance(context, str) and context.strip() else ()
        key = str(row.get("id", number))
        if not answers:
            if left_out is not None:
                left_out.append(key)
            continue
        question = text_of(cell_of(row, "question_lang", "question", where), "question_lang", where)
        yield SpanExample(
            id=key,
            group=context_group(str(context)),
            language=code,
            question=question,
            context=str(context),
            context_language=PASSAGES,
            answers=answers,
        )


def _answers(row: Mapping[str, Any], where: str, context: str) -> tuple[Answer, ...]:
    """Return the answers that the passage has."""
    pivot = cell_of(row, "answer_pivot", "answers", where)
    if pivot is None:
        return ()
    texts, starts = (pivot.get(key) if isinstance(pivot, dict) else None for key in ("text", "answer_start"))
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        raise DataError(f"{where}: answer_pivot is {str(pivot)[:60]}; expected lists `text` and `answer_start`")
    found = [_nearest(context, text, start) for text, start in zip(texts, starts, strict=True)]
    return tuple(answer for answer in found if answer is not None)


def _nearest(context: str, text: object, start: object) -> Answer | None:
    """Return the text where it occurs nearest to ``start``; nothing where it does not occur, or has no start."""
    if not isinstance(text, str) or not text.strip() or not isinstance(start, int) or start < 0:
        return None
    places, at = [], context.find(text)
    while at >= 0:
        places.append(at)
        at = context.find(text, at + 1)
    return Answer(text, min(places, key=lambda place: abs(place - start))) if places else None
