"""Where ``lingraft predict`` reads from: a file or standard input, of which no more is held than a line or a row.

What a file is, its suffix says; what standard input is, its first line that has something in it, unless somebody
says so. That a guess was wrong is an error, never another reading of the same lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, get_args

from ..core.errors import DataError
from ..data.bounds import LINE_BYTES
from ..data.cells import as_written
from ..data.conll import untagged_sentences
from ..data.squad import read_squad
from ..data.standard_input import STANDARD_INPUT, standard_input
from ..data.table import SUFFIXES, read_table
from ..data.text import read_lines, suffix_of
from ..tasks.kinds import Kind
from .items import plain_item
from .own_names import OwnNames

Shape = Literal["text", "jsonl", "csv", "tsv", "conll", "parquet", "squad", "table"]
"""How items are laid out; a ``table`` is what its suffix says."""

SHAPES: tuple[str, ...] = get_args(Shape)
STREAMED = ("text", "jsonl", "csv", "tsv", "conll")
"""What standard input may be."""

SEEN = 1_000
"""Lines of a file by which it is decided whether each is a sentence or a word."""


UNREADABLE = object()
"""In the place of an object that is JSON, and that is read no further: its reader says why."""


@dataclass(frozen=True, slots=True)
class Given:
    """Something to predict on."""

    where: str
    """How messages call it: ``standard input, line 3``."""
    item: Any
    columns: Mapping[str, Any]
    """What its answer's line begins with: the user's own columns."""
    cells: tuple[tuple[str, ...], ...] = ()
    """What the lines of its words have, in a file of words."""


def shape_of(path: Path | None, kind: Kind, names: OwnNames) -> Shape:
    """Return what a file, or standard input, is for a kind of task.

    Raises:
        DataError: Standard input is empty, or a JSON array; or the file cannot be read.
    """
    if path is None:
        return _shape_of_lines(_first_lines(kind), kind)
    suffix, words = suffix_of(path), "conll" in kind.file_shapes
    if suffix in (".conll", ".conllu", ".iob2", ".bio") and words:
        return "conll"
    if suffix == ".json" and "squad" in kind.file_shapes and next(_lines_of(path), "").startswith("{"):
        return "squad"
    if words and suffix in (".csv", ".tsv"):
        header = re.split(r"[,;|\t]", next(_lines_of(path), ""))
        return "table" if names.holds_text(kind, header) else "conll"
    if suffix in (*SUFFIXES, ".json") or kind.item_columns:
        return "table"
    return _shape_of_lines(list(islice(_lines_of(path), SEEN)), kind, json_lines=False)


def _lines_of(path: Path) -> Iterator[str]:
    """Yield the lines of a file that have something in them."""
    return (stripped for _, line in read_lines(path) if (stripped := line.strip(" \r\n")))


def _first_lines(kind: Kind) -> list[str]:
    """Look at the first line of standard input that has something in it, and at the next where that may matter.

    Raises:
        DataError: There is none, or it is a JSON array.
    """
    lines: list[str] = []
    wanted = 2 if "conll" in kind.file_shapes else 1
    while len(lines) < wanted and (raw := standard_input().look(LINE_BYTES + 2)):
        line = raw.decode("utf-8", "replace").removeprefix("\ufeff").strip(" \r\n")
        lines += [line] if line.strip() else []
        if lines and _is_object(lines[0]):
            break
    if not lines:
        raise DataError("standard input is empty; give one text a line, or JSON lines")
    array = _json_of(lines[0])
    if isinstance(array, list) and array and isinstance(array[0], dict):
        raise DataError(f"{STANDARD_INPUT}, line 1: is a JSON array; give its objects one a line (jq -c '.[]')")
    return lines


def _shape_of_lines(lines: list[str], kind: Kind, *, json_lines: bool = True) -> Shape:
    """Return what lines with something in them are: objects, words, or else texts."""
    if kind.item_columns or (json_lines and lines and _is_object(lines[0])):
        return "jsonl"
    if "conll" in kind.file_shapes and lines:
        tagged = all(line.split()[-1] in kind.labels and len(line.split()) > 1 for line in lines)
        lone = len(lines) > 1 and not any(" " in line for line in lines)
        return "conll" if tagged or lone or "\t" in lines[0] else "text"
    return "text"


def _is_object(line: str) -> bool:
    """Return whether a line is a JSON object with something in it."""
    value = _json_of(line)
    return value is UNREADABLE or (isinstance(value, dict) and bool(value))


def _json_of(line: str) -> Any:
    """Return the object or array that a line is; None where it is none, ``UNREADABLE`` where Python cannot hold it."""
    try:
        return json.loads(line) if line.startswith(("{", "[")) else None
    except json.JSONDecodeError:
        return None
    except (ValueError, RecursionError):  # of a number with thousands of digits, of lists in lists
        return UNREADABLE if line.startswith("{") else None


def read_given(
    path: Path | None,
    shape: Shape,
    kind: Kind,
    *,
    names: OwnNames,
    language: str,
    paired: bool = False,
    guessed: bool = False,
) -> Iterator[Given]:
    """Yield what is to be predicted on, as it comes.

    Args:
        path: A file; None for standard input.
        shape: How it is laid out.
        kind: Of the task.
        names: Of the run's columns.
        language: Of words in columns, see :func:`untagged_sentences`.
        paired: Whether the task has two texts.
        guessed: Whether the shape is what the first line looks like: a line that looks otherwise is then an error.

    Raises:
        DataError: The file cannot be read, or is not laid out so.
    """
    place = path or STANDARD_INPUT
    if shape == "conll" and "conll" not in kind.file_shapes:
        raise DataError(f"{place}: a run for {kind.name} reads no words in columns; give texts or a table")
    if path is None and shape not in STREAMED:
        raise DataError(f"standard input cannot be {shape}; give it as a file")
    if shape == "text":
        if paired:
            raise DataError(f"{place}: pairs of texts need named columns; give a .jsonl, .csv or .tsv file")
        return _texts(place, guessed=guessed)
    if shape == "conll":
        return _sentences(place, names, language)
    if shape == "squad":
        return _questions(place, language)
    return _rows(place, shape, guessed=guessed)


def _texts(path: Path, *, guessed: bool) -> Iterator[Given]:
    for number, line in read_lines(path):
        if guessed and _is_object(line.strip()):
            raise DataError(
                f"{path}, line {number}: is a JSON object, but what came before is plain text; say what it all is with "
                "--input-format jsonl or --input-format text"
            )
        yield Given(f"{path}, line {number}", line, {"text": line})


def _rows(path: Path, shape: Shape, *, guessed: bool) -> Iterator[Given]:
    found = False
    try:
        for number, row in read_table(path, None if shape == "table" else shape):
            found = True
            yield Given(f"{path}, line {number}", row, {column: as_written(cell) for column, cell in row.items()})
    except DataError as error:
        if guessed and found:  # the first line was an object
            raise DataError(f"{error}; if every line is a text, say so with --input-format text") from error
        raise
    if not found:
        raise DataError(f"{path}: has no rows")


def _sentences(path: Path, names: OwnNames, language: str) -> Iterator[Given]:
    for sentence in untagged_sentences(path, language=language, column=names.word_column):
        words = [row.word for row in sentence.rows]
        known = {"id": sentence.name} if sentence.name else {}
        cells = tuple(row.cells for row in sentence.rows)
        yield Given(f"{path}, line {sentence.rows[0].line}", words, known | {"words": words}, cells)


def _questions(path: Path, language: str) -> Iterator[Given]:
    for example in read_squad(path, language=language, labelled=False).examples:
        item = {"id": example.id, "question": example.question, "context": example.context}
        yield Given(f"{path}, question {example.id!r}", item, item)


def checked_first(given: Iterator[Given], kind: Kind, names: OwnNames, *, paired: bool) -> Iterator[Given]:
    """Return the same, once the first of them is read: most mistakes show before a model is loaded.

    Args:
        given: What is to be predicted on.
        kind: Of the task.
        names: Of the run's columns.
        paired: Whether the task has two texts.

    Raises:
        DataError: The first is not what the task takes.
    """
    first = list(islice(given, 1))
    for one in first:
        plain_item(one.item, one.where, kind, names, paired=paired)
    return chain(first, given)


def column_names(path: Path, shape: Shape) -> list[str]:
    """Return all columns that the rows of a table have, where rows may have different ones; else nothing.

    Raises:
        DataError: The file cannot be read.
    """
    name = SUFFIXES.get(suffix_of(path), "") if shape == "table" else shape
    if name != "jsonl":
        return []
    return list({column: None for _, row in read_table(path, name) for column in row})
