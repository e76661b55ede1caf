"""Questions about paragraphs in the JSON of SQuAD v1.1 (Rajpurkar et al., 2016), XQuAD, MLQA and TyDiQA.

A span that is one character off trains and tests on the wrong thing in silence, so every answer must stand
in its context exactly where its offset says; what does not is named, with the likely reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..core.errors import DataError
from ..core.examples import Answer, SpanExample
from . import languages
from .bounds import read_whole
from .text import normalise, open_bytes, whole_characters

Key = TypeVar("Key", bound=Hashable)
Wanted = TypeVar("Wanted")

SHAPE = (
    'SQuAD v1.1 is {"data": [{"title": …, "paragraphs": [{"context": …, "qas": [{"id": …, "question": …, '
    '"answers": [{"text": …, "answer_start": …}]}]}]}]}'
)


@dataclass(frozen=True)
class Questions:
    """What a file asks; ``unanswerable`` counts the questions of SQuAD v2, which are left out or kept."""

    examples: list[SpanExample]
    unanswerable: int = 0


def squad_examples(
    path: Path | str,
    *,
    language: str,
    context_language: str | None = None,
    group: Literal["paragraph", "article"] = "paragraph",
    labelled: bool = True,
) -> list[SpanExample]:
    """Return the questions of :func:`read_squad`, of which this is the short form.

    Args:
        path: As for :func:`read_squad`.
        language: Of the questions.
        context_language: Of the paragraphs, if that is another.
        group: What must stay on one side of a split.
        labelled: Whether every question must have an answer.
    """
    return read_squad(
        path, language=language, context_language=context_language, group=group, labelled=labelled
    ).examples


def read_squad(
    path: Path | str,
    *,
    language: str,
    context_language: str | None = None,
    group: Literal["paragraph", "article"] = "paragraph",
    labelled: bool = True,
    keep_unanswerable: bool = False,
) -> Questions:
    """Read a file in the layout of SQuAD v1.1, which may be compressed.

    Args:
        path: A ``.json`` or ``.json.gz`` file.
        language: Of the questions, in any spelling.
        context_language: Of the paragraphs, if that is another: MLQA asks across languages.
        group: What must stay on one side of a split. A paragraph is called after its article's title and its
            place there (``Warsaw/0``), so that XQuAD's are called the same in all languages. Without a title
            nothing is known of the article, and a paragraph is called after its content. Where titles are
            translated, see :func:`shared_groups`.
        labelled: Whether every question must have an answer; if not, answers are read where there are any, and no
            question is left out.
        keep_unanswerable: Whether questions that the context does not answer (``is_impossible``, or, where answers
            are needed, none) are kept; else they are left out.

    Raises:
        DataError: The file is no such JSON, an answer is not where its offset says, or an identifier occurs
            twice; named with file and place, such as ``data[0].paragraphs[2].qas[5]``.
    """
    code, context_code = languages.canonical(language), languages.canonical(context_language or language)
    places: dict[str, str] = {}
    examples: list[SpanExample] = []
    unanswerable = 0
    for place, title, index, paragraph in _paragraphs(_document(Path(path)), str(path)):
        context = _text(paragraph, "context", place)
        name = (title if group == "article" else f"{title}/{index}") if title else context_group(context)
        for number, question in enumerate(_member(paragraph, "qas", place, list)):
            where = f"{place}.qas[{number}]"
            key = _identifier(question, where)
            if key in places:
                raise DataError(
                    f"{where}: the id {key!r} occurs at {places[key]} already; ids must be unique in a file, so "
                    "correct it or remove the repeated question"
                )
            places[key] = where.removeprefix(f"{path}, ")
            asked = _text(question, "question", where)
            impossible = labelled and (
                question.get("is_impossible") is True or (keep_unanswerable and are_no_answers(question.get("answers")))
            )
            unanswerable += impossible
            if impossible and not keep_unanswerable:
                continue
            if labelled and not impossible:
                _member(question, "answers", where, list | dict)
            given, at = None if impossible else question.get("answers"), f"{where}, question {key!r}"
            answers = answers_in(context, given, at, required=labelled and not impossible)
            examples.append(
                SpanExample(
                    id=key,
                    group=name,
                    language=code,
                    question=asked,
                    context=context,
                    context_language=context_code,
                    answers=answers,
                    unanswerable=impossible,
                )
            )
    if not examples:
        left = f"no question that has an answer, and {unanswerable} that have none" if unanswerable else "no questions"
        raise DataError(f"{path}: has {left}; {SHAPE}")
    return Questions(examples, unanswerable)


def shared_groups(by_file: Mapping[Key, Sequence[SpanExample]]) -> dict[Key, list[SpanExample]]:
    """Give what is parallel one group in all files: examples that share an identifier, and all their groups.

    MLQA's titles are translated and each language has only some of the questions; its identifiers are shared.
    Two groups, of whichever files, become one where a question is in both (union-find over groups and
    identifiers), under the name that sorts first. Languages that share no question meet through English, so
    give English about English with them; MLQA's groups are then exactly its English articles.

    Args:
        by_file: Parallel files of *one* data set; in others, equal identifiers mean nothing. The keys are
            anything, such as the pair of languages.
    """
    parents: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        parents.setdefault(node, node)
        while parents[node] != node:
            parents[node] = node = parents[parents[node]]
        return node

    for examples in by_file.values():
        for example in examples:
            # Groups before identifiers, and in order: a root is the first name of its component.
            first, second = sorted((root(("group", example.group)), root(("id", example.id))))
            parents[second] = first
    return {
        key: [replace(example, group=root(("group", example.group))[1]) for example in examples]
        for key, examples in by_file.items()
    }


def context_group(context: str) -> str:
    """Return a name for what is known only by its content; the same wherever that occurs."""
    return sha256(normalise(context).encode()).hexdigest()[:16]


def are_no_answers(value: object) -> bool:
    """Return whether a field ``answers`` says that there are none, in either of its shapes."""
    texts = value.get("text") if isinstance(value, dict) else value
    return isinstance(texts, list) and not texts


def answers_in(context: str, value: object, where: str, *, required: bool = True) -> tuple[Answer, ...]:
    """Return answers as SQuAD lists them (``[{"text", "answer_start"}]``) or as tables do (``{"text": [], …}``).

    Args:
        context: The passage.
        value: Of the field ``answers``.
        where: File and place, for messages.
        required: Whether there must be one.

    Raises:
        DataError: They are neither, one is not in ``context`` where it should be, or, ``required``, there are
            none.
    """
    if isinstance(value, dict):
        texts, starts = (_member(value, key, f"{where}, `answers`", list) for key in ("text", "answer_start"))
        if len(texts) != len(starts):
            raise DataError(
                f"{where}: has {len(texts)} texts of answers and {len(starts)} starts; each text needs its start"
            )
        listed = list(zip(texts, starts, strict=True))
    elif isinstance(value, list):
        listed = [
            tuple(_member(answer, key, f"{where}, answers[{number}]", object) for key in ("text", "answer_start"))
            for number, answer in enumerate(value)
        ]
    elif value is None:
        listed = []
    else:
        raise DataError(f"{where}: `answers` is {type(value).__name__} {_short(str(value))}; {SHAPE}")
    # Where answers are withheld, XTREME for one leaves empty ones.
    found = tuple(answer_in(context, text, start, where) for text, start in listed if required or text != "")
    if required and not found:
        raise DataError(
            f"{where}: has no answer; add one, or leave out what cannot be learned from or scored: questions without "
            "an answer, and those whose answers are withheld"
        )
    return found


def answer_in(context: str, text: object, start: object, where: str) -> Answer:
    """Return an answer that stands in its context where it says.

    Args:
        context: The passage.
        text: Of the answer.
        start: Characters before it.
        where: File and place, for messages.

    Raises:
        DataError: It does not; the likely reason and the right offset are reported where there is one.
    """
    if not isinstance(text, str) or not text.strip():
        raise DataError(
            f"{where}: the text of an answer is {text!r}; expected a piece of the context (files whose answers are "
            "withheld cannot be scored)"
        )
    if not isinstance(start, int) or isinstance(start, bool) or start < 0:
        raise DataError(
            f"{where}: the answer {_short(text)} has the start {start!r}; expected the number of characters before it"
        )
    there = context[start : start + len(text)]
    if there == text:
        return Answer(text, start)
    raise DataError(
        f"{where}: the answer {_short(text)} should start at character {start} of the context, which has "
        f"{_short(there)} there; {_cure(context, text, start)}"
    )


def _cure(context: str, text: str, start: int) -> str:
    places = _occurrences(context, text)
    for what, encoding, width in (("bytes of UTF-8", "utf-8", 1), ("UTF-16 units", "utf-16-le", 2)):
        for place in places:
            if len(context[:place].encode(encoding)) == start * width:
                return f"the offset counts {what}; count characters (here {place})"
    if places:
        nearest = min(places, key=lambda place: abs(place - start))
        return f"it is found at {nearest}; correct answer_start"
    if normalise(text) in normalise(context):
        return "the context has it in another case, spacing or Unicode form; copy the answer from the context"
    return "the context does not contain it; correct the answer or leave the question out"


def _occurrences(context: str, text: str) -> list[int]:
    found: list[int] = []
    place = context.find(text)
    while place >= 0 and len(found) < 1000:
        found.append(place)
        place = context.find(text, place + 1)
    return found


def _short(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:80]!r}…"


def _document(path: Path) -> object:
    with open_bytes(path) as stream:
        content = read_whole(stream, path)
    try:
        return json.loads(content)
    # Also what is not Unicode is a ValueError, and what is nested too deeply a RecursionError.
    except (ValueError, RecursionError) as error:
        lines = isinstance(error, json.JSONDecodeError) and error.msg == "Extra data"
        cure = "this seems to be JSON Lines: name it .jsonl and map its fields" if lines else SHAPE
        raise DataError(f"{path}: is not JSON ({error}); {cure}") from error


def _paragraphs(document: object, path: str) -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    """Yield place, title (``""`` if none), number among the title's paragraphs, and paragraph."""
    counts: Counter[str] = Counter()
    for number, article in enumerate(_member(document, "data", path, list)):
        where = f"{path}, data[{number}]"
        paragraphs: Iterable[Any] = _member(article, "paragraphs", where, list)
        title = article.get("title")
        title = title.strip() if isinstance(title, str) else ""
        for index, paragraph in enumerate(paragraphs):
            yield f"{where}.paragraphs[{index}]", title, counts[title], paragraph
            counts[title] += 1


def _member(owner: object, key: str, where: str, kind: type[Wanted] | Any) -> Any:
    if not isinstance(owner, dict):
        raise DataError(f"{where}: is {type(owner).__name__}, expected an object with `{key}`; {SHAPE}")
    if key not in owner:
        raise DataError(f"{where}: has no `{key}`; its keys are {', '.join(map(str, owner)) or 'none'}; {SHAPE}")
    value = owner[key]
    if not isinstance(value, kind):
        raise DataError(f"{where}: `{key}` is {type(value).__name__} {_short(str(value))}; {SHAPE}")
    return value


def _text(owner: object, key: str, where: str) -> str:
    value: str = _member(owner, key, where, str)
    if not value.strip():
        raise DataError(f"{where}: `{key}` has no text; fill it in or remove this part")
    return whole_characters(value, f"{where}: `{key}`")


def _identifier(question: object, where: str) -> str:
    value = _member(question, "id", where, object)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise DataError(f"{where}: the id is {value!r}; expected a text or a number")
    return whole_characters(str(value).strip(), f"{where}: `id`")
