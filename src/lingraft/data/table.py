"""Tables of examples: JSONL, CSV, TSV, Parquet, spreadsheets and Hub data sets, read through a field map.

A user's file keeps its own column names; ``fields`` says which of them is our ``text``, ``text_b``,
``label``, ``id`` or ``group``. Whatever is wrong with a file is reported with file, line and key, and
with what to do about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..core.errors import DataError, MissingFileError
from ..core.examples import PairExample
from ..core.nearest_file import nearest_file
from ..core.registry import unknown
from . import Row, Source, languages, parquet_tables, sources, spreadsheets
from .cells import ClassNumber, Unreadable, described, holds_one, is_missing, written
from .columns import describe_missing
from .labels import strip_label
from .memory import SUFFIX, is_lent
from .stored_names import named
from .table_formats import HUB
from .text import suffix_of, unknown_format, whole_characters

FIELDS = ("text", "text_b", "label", "id", "group")
"""Our names, the keys of a field map; ``text_a`` is accepted for ``text``."""

SPLITS = {"train": "train", "training": "train", "dev": "dev", "valid": "dev", "validation": "dev", "test": "test"}
"""Words in names of files, and what they say a file is for."""

SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "tsv",
    parquet_tables.SUFFIX: "parquet", spreadsheets.SUFFIX: "xlsx",
}  # fmt: skip


def pair_examples(
    path: Path | str,
    *,
    fields: Mapping[str, str],
    language: str,
    labelled: bool = True,
    wanted: Callable[[Mapping[str, Any]], bool] | None = None,
    names: Sequence[str] = (),
) -> list[PairExample]:
    """Read the examples of one file.

    Args:
        path: A table, see :func:`read_table`.
        fields: Our name -> the file's column, e.g. ``{"text": "sentence", "label": "category"}``.
            ``id`` is the line number unless given, ``group`` the id.
        language: Any spelling that :func:`languages.canonical` knows.
        labelled: Whether every row must have a label; if not, labels are read where a column is
            named for them.
        wanted: Leave out rows of which this is not true, before anything else is asked of them.
        names: Of labels that are stored as numbers, from 0; by default those that are stored with them.

    Raises:
        DataError: Something is wrong with the file or does not fit ``fields``.
    """
    columns = _checked_fields(fields, labelled)
    code = languages.canonical(language)
    examples: list[PairExample] = []
    lines: dict[str, int] = {}
    for number, row in read_table(path):
        if wanted is not None and not wanted(row):
            continue
        where = f"{path}, line {number}"
        cells = {name: cell_of(row, column, name, where) for name, column in columns.items()}
        label = _label(named(cells.get("label"), names), columns.get("label", "label"), where, required=labelled)
        key = _identifier(cells["id"], columns["id"], where) if "id" in columns else str(number)
        if key in lines:
            raise DataError(
                f"{where}: the id {key!r} (column {columns['id']!r}) occurs on line {lines[key]} already; ids must be "
                "unique in a file, so correct it or leave `id` out of the fields to use line numbers"
            )
        lines[key] = number
        examples.append(
            PairExample(
                id=key,
                group=_identifier(cells["group"], columns["group"], where) if "group" in columns else key,
                language=code,
                text_a=text_of(cells["text"], columns["text"], where),
                text_b=text_of(cells["text_b"], columns["text_b"], where) if "text_b" in columns else None,
                label=label,
            )
        )
    if not examples:
        raise DataError(f"{path}: has no rows")
    return examples


def read_table(path: Path | str, format: str | None = None) -> Iterator[Row]:
    """Yield the rows of a table, its format chosen by the suffix (``.gz`` may follow it).

    ``hub:owner/name`` reads a data set of the Hugging Face Hub, see :func:`hub`. A format that is
    registered in ``sources`` is read under its name as the suffix, or where ``format`` says so.

    Raises:
        DataError: The format is unknown, or the file is faulty.
    """
    if str(path).startswith(HUB):
        source: Source = sources.build("hub")
        return source(Path(path))
    suffix = suffix_of(Path(path))
    name = format or SUFFIXES.get(suffix, suffix.removeprefix("."))
    if name not in sources:
        raise DataError(unknown_format(path, f"one of {', '.join(SUFFIXES)}, also followed by .gz"))
    source = sources.build(name)
    return source(path if isinstance(path, Path) else Path(path))


def locate(pattern: str, language: str, folder: Path | str = ".", notes: list[str] | None = None) -> Path:
    """Find the file of a language, however its name spells the language.

    A file in a script that contains that of the language, or is a part of it, will do where it is the only one.

    Args:
        pattern: E.g. ``{language}.train.tsv``; tried with every alias, each with and without ``.gz``.
        language: Any spelling.
        folder: What the pattern is relative to.
        notes: Where it is noted that the script of a file is another.

    Raises:
        MissingFileError: No such file; the nearest that is there is offered.
    """
    tried = _spellings(pattern, language)
    if pattern.startswith(HUB):
        return Path(tried[0])
    if pattern.endswith(SUFFIX):  # in memory
        return Path(next(filter(is_lent, tried), tried[0]))
    if (found := _first(tried, folder)) is not None:
        return found
    others = languages.related(language) if "{language}" in pattern else ()
    there = {code: path for code in others if (path := _first(_spellings(pattern, code), folder)) is not None}
    if len(there) == 1:
        ((code, path),) = there.items()
        note = f"{languages.canonical(language)} is read from {path.name}, the file of {code}: the scripts overlap"
        if notes is not None and note not in notes:
            notes.append(note)
        return path
    code = languages.canonical(language)
    name = Path(pattern.replace("{language}", code)).name
    spelled = f", as {name} or in another spelling" if "{language}" in pattern else ""
    raise MissingFileError(
        f"no file for {languages.display_name(language)} ({code}): {Path(folder) / pattern} is not there{spelled}; "
        f"{nearest_file([Path(folder) / one for one in tried[:6:2]], never=partial(_is_for_another, pattern, code))}"
    )


def _is_for_another(pattern: str, code: str, name: str) -> bool:
    """Return whether the name of a file says that it is of another split or of another language."""
    pattern = Path(pattern).name
    if is_other_split(name, pattern.replace("{language}", code)):
        return True
    before, placed, after = pattern.partition("{language}")
    said = name.removeprefix(before).removesuffix(after)
    if not placed or name != f"{before}{said}{after}":
        return False
    try:
        other = languages.canonical(said)
    except DataError:
        return False
    return other != code and languages.is_listed(other)


def is_other_split(one: str, other: str) -> bool:
    """Return whether names of two files say that they are for different things: one to learn from, one to test on."""
    said, wanted = (
        {SPLITS[word] for word in re.findall(r"[a-z]+", name.lower()) if word in SPLITS} for name in (one, other)
    )
    return bool(said and wanted) and not said & wanted


def _spellings(pattern: str, language: str) -> list[str]:
    """Return a pattern with each alias of a language in it, with and without ``.gz``."""
    names = languages.aliases(language) if "{language}" in pattern else ("",)
    filled = [pattern.replace("{language}", name) for name in names]
    return [name for one in filled for name in (one, one.removesuffix(".gz") if one.endswith(".gz") else f"{one}.gz")]


def _first(names: Sequence[str], folder: Path | str) -> Path | None:
    """Return the first of several names that a file in ``folder`` has."""
    return next((path for name in names if _is_file(path := Path(folder) / name)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for any file
        return False


def _checked_fields(fields: Mapping[str, str], labelled: bool) -> dict[str, str]:
    columns: dict[str, str] = {}
    for name, column in fields.items():
        ours = "text" if name == "text_a" else name
        if ours not in FIELDS:
            raise DataError(f"fields: {unknown(name, list(FIELDS), what='field')}")
        if ours in columns:
            raise DataError("fields: `text` and `text_a` are the same field; give one of them")
        columns[ours] = str(column)
    needed = ("text", "label") if labelled else ("text",)
    for name in needed:
        if name not in columns:
            raise DataError(f"fields: `{name}` is missing; say which column holds it, as in {name}: my_column")
    return columns


def cell_of(row: Mapping[str, Any], column: str, name: str, where: str) -> object:
    """Return the value of ``column``, which serves as our field ``name``, in a row.

    Args:
        row: Column to value.
        column: Whose value is wanted.
        name: Of our field.
        where: File and line, for messages.

    Raises:
        DataError: There is no such column; the nearest one is offered and all are listed.
    """
    if column in row:
        return readable(row[column], column, where)
    raise DataError(describe_missing(row, column, where, f"(for `{name}`)"))


def readable(value: object, column: str, where: str) -> object:
    """Return a cell.

    Raises:
        DataError: It has no value, but a reason why.
    """
    if isinstance(value, Unreadable):
        raise DataError(f"{where}: column {column!r} holds what cannot be read ({value.reason}); correct it")
    return value


def text_of(value: object, column: str, where: str) -> str:
    """Return a cell that must hold text.

    Raises:
        DataError: It is empty, no text, or no valid Unicode.
    """
    if isinstance(value, ClassNumber):
        value = value.name
    if is_missing(value) or (isinstance(value, str) and not value.strip()):
        raise DataError(f"{where}: column {column!r} has no text; fill it in or remove the line")
    if not isinstance(value, str):
        raise DataError(f"{where}: column {column!r} holds {described(value)}; expected text")
    return whole_characters(value, f"{where}: column {column!r}")


def _label(value: object, column: str, where: str, *, required: bool) -> str | None:
    if not holds_one(value):
        raise DataError(f"{where}: column {column!r} holds a {type(value).__name__}; expected one label")
    label = "" if is_missing(value) else strip_label(written(value))
    if not label and required:
        raise DataError(f"{where}: column {column!r} has no label; fill it in or remove the line")
    return whole_characters(label, f"{where}: column {column!r}") or None


def _identifier(value: object, column: str, where: str) -> str:
    key = "" if is_missing(value) or not holds_one(value) else written(value).strip()
    if not key:
        raise DataError(f"{where}: column {column!r} has no identifier; fill it in or leave the field out")
    return whole_characters(key, f"{where}: column {column!r}")
