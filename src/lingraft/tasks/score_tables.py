"""Files that say something of ids: a JSON object ``{"id": "label"}``, or a table with a row for each."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.counted import counted
from ..core.errors import DataError
from ..data.bounds import LINE_BYTES, read_whole
from ..data.columns import describe_missing
from ..data.example_tables import alternatives_in, chosen_alternative
from ..data.labels import strip_label, whole_number
from ..data.stored_names import named
from ..data.table import read_table
from ..data.text import open_bytes, suffix_of

PREDICTED = ("value", "prediction", "label", "answer")
RIGHT = ("label", "gold", "answer", "value")
"""The columns that a table's predictions and right answers are looked for in, first found first taken."""

OF_PREDICT = {"label": "confidence", "prediction": "prediction_confidence"}
"""What stands side by side in the lines that ``lingraft predict`` writes: the answer and its probability."""


@dataclass(frozen=True, slots=True)
class FileColumns:
    """The columns of tables, where they have names of their own; numbers of columns, from 0, in files of words."""

    id: str | None = None
    prediction: str | None = None
    label: str | None = None
    words: tuple[int, int] | tuple[str, str] | None = None
    """Word and tag of the gold file."""
    group: str | None = None
    """What is drawn together for intervals; by default the context, of questions."""
    alternatives: tuple[str, ...] = ()
    """Of items to choose from: a column with a list, or several; what is right is then the number of one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for in a file: an ``answer`` or ``label``, and in which columns of a table."""

    what: str
    columns: Sequence[str]
    id: str | None = None
    option: str = "--label"
    """What names the column on the command line."""
    only_text: bool = False
    may_be_empty: bool = False
    alternatives: Sequence[str] = ()
    """The columns of what a label is the number, or the text, of one of."""
    between: str = ""
    """Stands between the parts of a cell that may be a list."""


def read_values(path: Path, wanted: Wanted) -> dict[str, str]:
    """Return what the file says of each id, in the order of the file.

    Raises:
        DataError: The file is no such object or table, or an id occurs twice.
    """
    what = wanted.what
    found: dict[str, str] = {}
    for where, key, value in _members(path, what) if is_object(path) else _cells(path, wanted):
        if key in found:
            raise DataError(f"{where}: the id {key!r} occurs twice; keep one of the two")
        if value is None or isinstance(value, list | dict) or (wanted.only_text and not isinstance(value, str)):
            raise DataError(f"{where}: the {what} of {key!r} is {_kind(value)}; expected a text in quotes")
        text = value if wanted.only_text else strip_label(str(value))
        if not text and not (wanted.only_text or wanted.may_be_empty):
            raise DataError(f"{where}: the {what} of {key!r} is empty; fill it in or remove the id")
        found[key] = text
    if not found:
        raise DataError(f'{path}: says nothing of any id; expected {{"id": "{what}", …}}')
    return found


def read_groups(path: Path, column: str, key: str | None) -> dict[str, str]:
    """Return what the rows of a table, by id, are drawn together by; each its own where it says nothing.

    Raises:
        DataError: It has no such column.
    """
    if is_object(path):
        raise DataError(f"{path}: is one JSON object; --group names a column of a table")
    groups = {}
    for number, (line, row) in enumerate(read_table(path), start=1):
        where = f"{path}, line {line}"
        if column not in row:
            raise DataError(describe_missing(row, column, where, "(for --group)"))
        name = id_of(row, key, number, where)
        value = row[column]
        groups[name] = name if is_missing(value) else f"{column}={value}"
    return groups


def number_chosen(
    given: Mapping[str, str], path: Path, columns: Sequence[str], key: str | None, predictions: Path
) -> dict[str, str]:
    """Return what was predicted of a choice as the number of an alternative, also where its text was predicted.

    Args:
        given: What was predicted, by id: numbers, as ``predict`` writes them, or texts.
        path: The gold file, whose rows have the alternatives.
        columns: Of these.
        key: Column of the ids; None where rows have none.
        predictions: The file of what was predicted.

    Raises:
        DataError: The text is that of several alternatives.
    """
    found = dict(given)
    for number, (line, row) in enumerate(read_table(path), start=1):
        where = f"{path}, line {line}"
        name = id_of(row, key, number, where)
        texts = [text.strip() for text in alternatives_in(row, columns, where)]
        said = given.get(name, "")
        if whole_number(said) in map(str, range(len(texts))):
            found[name] = whole_number(said)
        elif said in texts:
            if texts.count(said) > 1:
                raise DataError(
                    f"{predictions}: predicts {said!r} of {name!r}, which several alternatives are; write the number "
                    "of one, from 0"
                )
            found[name] = str(texts.index(said))
    return found


def id_of(row: Mapping[str, Any], column: str | None, number: int, where: str) -> str:
    """Return the id of a row; its number where rows have none.

    Raises:
        DataError: It has no such column.
    """
    if column is None:
        return str(number)
    if column not in row:
        raise DataError(f"{describe_missing(row, column, where, '(for --id)')}; say which with --id")
    return str(row[column]).strip()


def is_missing(value: object) -> bool:
    """Return whether a cell has nothing in it, which libraries of tables write as a number that is none."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def is_object(path: Path) -> bool:
    """Return whether a file is one JSON object, such as of ids; not a table.

    Raises:
        DataError: It cannot be read.
    """
    if suffix_of(path) != ".json":
        return False
    with open_bytes(path) as stream:
        head = stream.readline(LINE_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
        if head.startswith(b"["):
            return _holds_objects(head, stream.readline(LINE_BYTES))
        with suppress(ValueError, RecursionError):
            json.loads(head)  # an object that is the first of several lines
            return not stream.read(LINE_BYTES).strip()
    return True


def _holds_objects(head: bytes, more: bytes) -> bool:
    """Return False where an array seems to hold objects, as a table does."""
    return not (head[1:].lstrip() or more.lstrip()).startswith(b"{")


def same_ids(predictions: Path, gold: Path, column: str | None) -> str | None:
    """Return the column of ids, or None where two tables have none: then rows go by their number.

    Raises:
        DataError: They have none, and not the same number of rows.
    """
    tables = [path for path in (predictions, gold) if not is_object(path)]
    if column is not None or len(tables) < 2:
        return column or "id"
    if any("id" in row for path in tables for _, row in _first(path)):
        return "id"
    rows = [sum(1 for _ in read_table(path)) for path in tables]
    if rows[0] != rows[1]:
        raise DataError(
            f"{predictions}: has {counted(rows[0], 'row')} and {gold} has {rows[1]:,}; without a column of ids (`id`, "
            "or the one named with --id) they must have the same, in the same order"
        )
    _check_order(predictions, gold)
    return None


def _check_order(predictions: Path, gold: Path) -> None:
    """Refuse two tables whose rows go by their number where all that both have of a row differs: another order.

    Raises:
        DataError: They are such.
    """
    answers = {*PREDICTED, *RIGHT, *OF_PREDICT.values()}
    for (line, given), (other, right) in zip(read_table(predictions), read_table(gold), strict=False):
        shared = [name for name in given if name in right and name not in answers]
        texts = [name for name in shared if isinstance(given[name], str) and isinstance(right[name], str)]
        if texts and all(given[name].strip() != right[name].strip() for name in texts):
            name = texts[0]
            raise DataError(
                f"{predictions}, line {line}: column {name!r} is {given[name]!r:.60}, and {right[name]!r:.60} in "
                f"{gold}, line {other}; without a column of ids, rows must be in the same order: sort them, or name "
                "the ids with --id"
            )


def describe_other_texts(predictions: Path, gold: Path, key: str | None, columns: FileColumns) -> str:
    """Say how many rows of two tables have the same id, or number, and another text; nothing where none has.

    They are scored: a text may have been written anew in one of the files, as in another normal form. The text is the
    shared column that has most to read.

    Args:
        predictions: What was predicted.
        gold: What is right.
        key: Column of the ids; None where rows go by their number.
        columns: Those that hold answers, and so may differ.
    """
    if is_object(predictions) or is_object(gold):
        return ""
    answers = {*PREDICTED, *RIGHT, *OF_PREDICT.values(), key, columns.label, columns.prediction}
    sides = [
        {id_of(row, key, number, f"{path}, line {line}"): (line, row) for number, (line, row) in _numbered(path)}
        for path in (predictions, gold)
    ]
    pairs = [(given, sides[1][name]) for name, given in sides[0].items() if name in sides[1]]
    values = defaultdict[str, set[str]](set)
    for (_, given), (_, right) in pairs:
        for name in given:
            if name in right and name not in answers and isinstance(given[name], str) and isinstance(right[name], str):
                values[name].add(right[name])
    if not values:
        return ""
    name = max(values, key=lambda one: sum(map(len, values[one])))
    other = [
        (line, given[name], right[name])
        for (_, given), (line, right) in pairs
        if name in given and name in right and str(given[name]).strip() != str(right[name]).strip()
    ]
    if not other:
        return ""
    line, one, another = other[0]
    return (
        f"{len(other):,} of {counted(len(pairs), 'row')} {'has' if len(other) == 1 else 'have'} another {name!r} than "
        f"was predicted for, first in {gold}, line {line}: {another!r:.60} instead of {one!r:.60}; are these files of "
        "the same data set?"
    )


def _numbered(path: Path) -> Iterator[tuple[int, tuple[int, Mapping[str, Any]]]]:
    return enumerate(read_table(path), start=1)


def _first(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for one in read_table(path):
        yield one
        return


def answer_column(row: Mapping[str, Any], columns: Sequence[str]) -> str | None:
    """Return which column of a row holds what is looked for: that of ``lingraft predict``, else the first there."""
    names = list(row)
    if "label" in columns and "prediction" in columns:  # predictions, not what is right
        for name, beside in reversed(OF_PREDICT.items()):
            if name in row and names[names.index(name) + 1 :][:1] == [beside]:
                return name
    return next((name for name in columns if name in row), None)


def _members(path: Path, what: str) -> list[tuple[str, str, Any]]:
    """Return where, id and value, from a JSON object."""
    with open_bytes(path) as stream:
        content = read_whole(stream, path)
    hint = f'expected one object {{"id": "{what}", …}}, or a table named .jsonl, .csv or .tsv'
    try:
        # Pairs instead of a dictionary, which would hide that an id occurs twice.
        members = json.loads(content, object_pairs_hook=_Members)
    except (ValueError, RecursionError) as error:  # a ValueError also where it is not Unicode
        raise DataError(f"{path}: is not JSON ({error}); {hint}") from error
    if not isinstance(members, _Members):
        raise DataError(f"{path}: is {_kind(members)}; {hint}")
    if any(key == "data" and isinstance(value, list) for key, value in members):
        raise DataError(f"{path}: is a file of questions, not of predictions; {hint}")
    return [(str(path), key.strip(), value) for key, value in members]


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object, which a list is not."""


def _cells(path: Path, wanted: Wanted) -> Iterator[tuple[str, str, Any]]:
    """Yield where, id and value, from the rows of a table; of one without ids their numbers."""
    for number, (line, row) in enumerate(read_table(path), start=1):
        where = f"{path}, line {line}"
        column = answer_column(row, wanted.columns)
        if column is None and len(wanted.columns) == 1:  # it was named
            raise DataError(describe_missing(row, wanted.columns[0], where, f"(for {wanted.option})"))
        if column is None or (wanted.id is not None and wanted.id not in row):
            ids = "" if wanted.id is None else f"the columns `{wanted.id}` and "
            raise DataError(
                f"{where}: expected {ids}one of {', '.join(wanted.columns)}; there are {', '.join(map(str, row))}; say "
                f"which with {'--id and ' if ids else ''}{wanted.option}"
            )
        value = named(row[column], ())
        if wanted.between and isinstance(value, list):
            value = wanted.between.join(map(str, value))
        if wanted.alternatives:
            value = chosen_alternative(row, wanted.alternatives, value, f"{where}: column {column!r}")
        yield where, id_of(row, wanted.id, number, where), "" if is_missing(value) else value


def _kind(value: object) -> str:
    names: Mapping[type, str] = {dict: "an object", _Members: "an object", list: "a list", type(None): "null"}
    return names.get(type(value), f"{type(value).__name__} {value!r}")
