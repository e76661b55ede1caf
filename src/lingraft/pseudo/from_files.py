"""Pseudo-data read back from files that ``lingraft augment`` wrote, or anybody: JSON lines, an example each.

A row has the fields of an example of its kind of task (for a text ``text_a`` and ``label``), its ``language`` and, if
they are not 1 and "file", its ``weight`` and ``origin``. Rows with a ``draw`` are of that draw alone, and rows with a
``k`` of that number of shots, for they may have been made of labels that another does not have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..core.errors import DataError, shown
from ..core.examples import GOLD, ChoiceExample, Example, SpanExample, TaggedExample, from_json
from ..core.outside import parse_object
from ..core.registry import unknown
from ..data.languages import canonical
from ..data.text import read_lines
from ..tasks import Task
from . import LEAST_WEIGHT, MOST_WEIGHT, Sources
from .generators import Generator
from .kept import ROW
from .making import EMPTY_ANSWER, has_texts_of_task, strange_label

FILE = "file"
"""The origin of what does not say where it came from."""


def from_file(path: Path) -> Generator:
    """Return what gives the examples of a file.

    Args:
        path: A ``.jsonl`` file.
    """
    read = cache(lambda: list(_rows(path)))

    def generate(sources: Sources) -> Iterator[Example]:
        languages = {number: _language(path, number, row) for number, row in read()}
        _refuse_other_languages(path, set(languages.values()), sources.task)
        of_language = [(number, row) for number, row in read() if languages[number] == sources.language]
        of_draw = [(number, row) for number, row in of_language if row.get("draw", sources.draw) == sources.draw]
        if of_language and not of_draw:
            raise DataError(
                f"{path} has nothing for draw {sources.draw} of {sources.language}, only for others; make it with as "
                "many shots.draws as there are here"
            )
        found = [(number, row) for number, row in of_draw if row.get("k") in (None, sources.k)]
        if of_draw and not found:
            others = ", ".join(sorted({str(row["k"]) for _, row in of_draw}))
            raise DataError(
                f"{path} has nothing for shots.k {sources.k} of {sources.language} in draw {sources.draw}, only for "
                f"{others}: it was made with these labels at hand; make it with the shots.k that there are here, or "
                "take k out of its rows if they owe nothing to labels of the language"
            )
        for number, row in found:
            yield _example(f"{path}, line {number}", number, row, sources)

    return Generator(generate, by_shots=lambda: any(row.get("k") is not None for _, row in read()))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in read_lines(path):
        if line.strip():
            where = f"{path}, line {number}"
            row = parse_object(line, where, error=DataError, cure="mend that line")
            _refuse_other_types(row, where)
            yield number, row


def _refuse_other_types(row: Mapping[str, Any], where: str) -> None:
    """Refuse what would be read past, or as something else than was meant.

    Raises:
        DataError: The draw is no number, or true and false stand for numbers.
    """
    if not isinstance(row.get("language"), str):
        raise DataError(f"{where}: expected the language of the example in `language`")
    try:
        ROW.validate_python(row)
    except ValidationError as error:
        key = error.errors()[0]["loc"][0]
        expected = 'a whole number from 0, or "all"' if key == "k" else "a whole number from 0"
        raise DataError(f"{where}: {key}: expected {expected}, got {shown(row[str(key)])}") from None
    if flags := [key for key, value in row.items() if isinstance(value, bool) and key != "unanswerable"]:
        raise DataError(f"{where}: {flags[0]}: expected a number or a text, got {shown(row[flags[0]])}")


def _language(path: Path, number: int, row: dict[str, Any]) -> str:
    try:
        return canonical(row["language"])
    except DataError as error:
        raise DataError(f"{path}, line {number}: {error}") from None


def _refuse_other_languages(path: Path, languages: Collection[str], task: Task) -> None:
    """Refuse a file of which no language learns anything."""
    if languages and not set(languages).intersection(task.target_languages):
        raise DataError(
            f"{path} has examples of {', '.join(sorted(languages))}, and of none of the target languages "
            f"({', '.join(task.target_languages)})"
        )


def _example(where: str, number: int, row: dict[str, Any], sources: Sources) -> Example:
    known = [field.name for field in fields(sources.task.kind.example)]
    values = {"id": "", "group": f"{FILE}/{number}"} | {k: v for k, v in row.items() if k not in ("draw", "k")}
    if "context_language" in known:
        values.setdefault("context_language", sources.language)
    if strange := [key for key in values if key not in known]:
        raise DataError(f"{where}: {unknown(strange[0], known, what='key')}")
    try:
        example: Example = from_json(values | {"language": sources.language}, sources.task.kind.example)
    except ValueError as error:
        first = str(error).splitlines()[1:3]
        raise DataError(
            f"{where} is no example of {sources.task.kind.name}: {' '.join(map(str.strip, first))}"
        ) from None
    if problem := _problem(example, sources):
        raise DataError(f"{where}: {problem}")
    return replace(example, id=f"{number}/{example.id}", origin=FILE if example.origin == GOLD else example.origin)


def _problem(example: Example, sources: Sources) -> str:
    """Say what is wrong with an example; nothing if it can be learnt from."""
    task = sources.task
    if not has_texts_of_task(example, sources):
        return f"has {'one text' if len(example.texts) == 1 else 'two texts'}, other than the examples of {task.name}"
    if isinstance(example, TaggedExample) and example.tags and len(example.tags) != len(example.words):
        return f"has {len(example.words)} words and {len(example.tags)} tags"
    if isinstance(example, ChoiceExample) and example.label not in (None, *range(len(example.alternatives))):
        return f"its label is {example.label}, and there are {len(example.alternatives)} alternatives, numbered from 0"
    if example.gold is None:
        return "has no label"
    if strange := strange_label(example, task):
        return f"{strange!r} is no label of {task.name}, which has {', '.join(task.labels[:10])}"
    if isinstance(example, SpanExample) and any(
        example.context[answer.start : answer.start + len(answer.text)] != answer.text for answer in example.answers
    ):
        return "an answer does not stand in the context where it is said to"
    if isinstance(example, SpanExample) and not all(answer.text.strip() for answer in example.answers):
        return EMPTY_ANSWER
    if not LEAST_WEIGHT <= example.weight <= MOST_WEIGHT:
        return f"expected a weight from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}; got {example.weight:g}"
    return "" if all(text.strip() for text in example.texts) else "a text is empty"


def generators_of_files(paths: Sequence[str]) -> list[Generator]:
    """Return what gives the examples of each file."""
    return [from_file(Path(path).expanduser()) for path in paths]
