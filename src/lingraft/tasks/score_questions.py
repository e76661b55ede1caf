"""Questions with their right answers to score by: the JSON of SQuAD, or a table with a row for each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from ..data.squad import context_group, read_squad
from ..data.table import read_table
from .score_tables import FileColumns, id_of, is_missing, is_object, read_groups

ANSWERS = ("answers", "answer", "gold", "label")
"""The columns of right answers, first found first taken."""

CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class Question:
    """What is right of a question; without ``answers`` the context has none. ``group`` is drawn as a whole."""

    id: str
    group: str
    answers: tuple[str, ...]


def read_questions(path: Path, columns: FileColumns, key: str | None) -> list[Question]:
    """Return the questions of a file, in order.

    Args:
        path: SQuAD's JSON, or a table: what a recipe's ``files`` name, or ``predict`` wrote for it.
        columns: Of the table: ``label`` that of the answers, in any of the shapes that a recipe takes (see
            :func:`lingraft.data.example_tables.span_rows`), or texts.
        key: Column of the ids; None where rows have none.

    Raises:
        DataError: The file is neither, or an id occurs twice.
    """
    if is_object(path):
        # Readers want to know a language; scores do not depend on it.
        asked = read_squad(path, language="eng", keep_unanswerable=True).examples
        return [Question(one.id, one.group, tuple(filter(None, one.gold or ()))) for one in asked]
    groups = read_groups(path, columns.group, key) if columns.group else {}
    found: dict[str, Question] = {}
    for number, (line, row) in enumerate(read_table(path), start=1):
        where = f"{path}, line {line}"
        name = id_of(row, key, number, where)
        if name in found:
            raise DataError(f"{where}: the id {name!r} occurs twice; keep one of the two")
        context = row.get(CONTEXT)
        group = context_group(context) if isinstance(context, str) else f"row {number}"
        found[name] = Question(name, groups.get(name, group), _answers(row, columns.label, where))
    if not found:
        raise DataError(f"{path}: has no rows")
    return list(found.values())


def _answers(row: Mapping[str, Any], named: str | None, where: str) -> tuple[str, ...]:
    """Return the right answers of a row; none where its context has none."""
    column = next((name for name in ((named,) if named else ANSWERS) if name in row), None)
    if column is None:
        raise DataError(
            f"{where}: expected the right answers in {named or ' or '.join(ANSWERS[:2])}; there are "
            f"{', '.join(map(str, row))}; say which with --label"
        )
    listed = _listed(_unpacked(row[column]))
    if listed is None or not all(isinstance(one, str) for one in listed):
        raise DataError(
            f"{where}: column {column!r} holds {row[column]!r:.60}; expected a text, a list of texts, or "
            '{"text": ["…"], …}'
        )
    return tuple(filter(None, listed))


def _unpacked(value: Any) -> Any:
    """Return what a cell of a CSV holds, where that is a list or an object in JSON, as ``predict`` writes them."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _listed(value: Any) -> list[Any] | None:
    """Return the texts of answers in any of their shapes; None where it is another."""
    if is_missing(value):
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = value.get("text")
    if not isinstance(value, list):
        return None
    return [one.get("text") if isinstance(one, dict) else one for one in value]
