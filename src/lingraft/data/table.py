"""Tables of examples: JSONL, CSV, TSV, Parquet and Hub data sets, read through a field map.

A user's file keeps its own column names; ``fields`` says which of them is our ``text``, ``text_b``,
``label``, ``id`` or ``group``. Whatever is wrong with a file is reported with file, line and key, and
with what to do about it.
"""

from __future__ import annotations

import csv
import difflib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from ..core.records import PairExample
from ..core.registry import unknown
from . import Row, Source, languages, sources
from .labels import strip_label
from .stored_names import named, stored_names
from .text import open_bytes, read_lines, suffix_of, whole_characters

FIELDS = ("text", "text_b", "label", "id", "group")
"""Our names, the keys of a field map; ``text_a`` is accepted for ``text``."""

SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
HUB = "hub:"


def pair_examples(
    path: Path | str,
    *,
    fields: Mapping[str, str],
    language: str,
    labelled: bool = True,
    wanted: Callable[[Mapping[str, Any]], bool] | None = None,
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

    Raises:
        DataError: Something is wrong with the file or does not fit ``fields``.
    """
    columns = _checked_fields(fields, labelled)
    code = languages.canonical(language)
    examples: list[PairExample] = []
    lines: dict[str, int] = {}
    names = stored_names(path, columns["label"]) if "label" in columns else ()
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


def read_table(path: Path | str) -> Iterator[Row]:
    """Yield the rows of a table, its format chosen by the suffix (``.gz`` may follow it).

    ``hub:owner/name`` reads a data set of the Hugging Face Hub, see :func:`hub`. A format that is
    registered in ``sources`` is read under its name as the suffix.

    Raises:
        DataError: The format is unknown, or the file is faulty.
    """
    if str(path).startswith(HUB):
        source: Source = sources.build("hub")
        return source(Path(path))
    suffix = suffix_of(Path(path))
    name = SUFFIXES.get(suffix, suffix.removeprefix("."))
    if name not in sources:
        raise DataError(
            f"{path}: cannot tell the format from {suffix or 'no suffix'}; expected one of {', '.join(SUFFIXES)}, "
            "also followed by .gz"
        )
    source = sources.build(name)
    return source(Path(path))


def locate(pattern: str, language: str, folder: Path | str = ".", notes: list[str] | None = None) -> Path:
    """Find the file of a language, however its name spells the language.

    A file in a script that contains that of the language, or is a part of it, will do where it is the only one.

    Args:
        pattern: E.g. ``{language}.train.tsv``; tried with every alias, each with and without ``.gz``.
        language: Any spelling.
        folder: What the pattern is relative to.
        notes: Where it is noted that the script of a file is another.

    Raises:
        DataError: No such file; everything tried is listed.
    """
    tried = _spellings(pattern, language)
    if pattern.startswith(HUB):
        return Path(tried[0])
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
    raise DataError(
        f"no file for {languages.display_name(language)} ({languages.canonical(language)}) in {Path(folder)}: "
        f"tried {', '.join(tried)}"
    )


def _spellings(pattern: str, language: str) -> list[str]:
    """Return a pattern with each alias of a language in it, with and without ``.gz``."""
    names = languages.aliases(language) if "{language}" in pattern else ("",)
    filled = [pattern.replace("{language}", name) for name in names]
    return [name for one in filled for name in (one, one.removesuffix(".gz") if one.endswith(".gz") else f"{one}.gz")]


def _first(names: Sequence[str], folder: Path | str) -> Path | None:
    """Return the first of several names that a file in ``folder`` has."""
    return next((path for name in names if (path := Path(folder) / name).is_file()), None)


@sources.register("jsonl")
def jsonl() -> Source:
    """JSON Lines: one object a line."""

    def read(path: Path) -> Iterator[Row]:
        for number, line in read_lines(path):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{path}, line {number}: is not JSON ({error}); expected one object a line, such as "
                    '{"text": "…", "label": "…"}'
                ) from error
            if not isinstance(row, dict):
                raise DataError(
                    f"{path}, line {number}: is a JSON {type(row).__name__}, not an object; expected one object a "
                    'line, such as {"text": "…", "label": "…"}'
                )
            yield number, row

    return read


@sources.register("csv")
def comma_separated() -> Source:
    """CSV with a header; cells may be quoted."""

    def read(path: Path) -> Iterator[Row]:
        reader = csv.reader((f"{line}\n" for _, line in read_lines(path)), strict=True)
        header: list[str] | None = None
        while True:
            number = reader.line_num + 1  # where the row begins: a quoted cell may hold line breaks
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise DataError(f"{path}, line {number}: is not CSV ({error}); is a quote left open here?") from error
            if cells is None:
                return
            if not cells:
                continue
            if header is None:
                header = _checked_header(cells, path, number)
                continue
            yield number, _row(header, cells, path, number, "put texts with a comma in double quotes")

    return read


@sources.register("tsv")
def tab_separated() -> Source:
    """TSV with a header; quotes are ordinary characters."""

    def read(path: Path) -> Iterator[Row]:
        header: list[str] | None = None
        for number, line in read_lines(path):
            if not line:
                continue
            cells = line.split("\t")
            if header is None:
                header = _checked_header(cells, path, number)
                continue
            yield number, _row(header, cells, path, number, "columns are separated by one tab each")

    return read


@sources.register("parquet")
def parquet() -> Source:
    """Parquet files; rows are numbered from 1."""

    def read(path: Path) -> Iterator[Row]:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise DataError(f"{path}: reading Parquet needs pyarrow; pip install 'lingraft[parquet]'") from error
        number = 0
        with open_bytes(path) as stream:
            try:
                for batch in pyarrow.parquet.ParquetFile(stream).iter_batches():
                    for row in batch.to_pylist():
                        number += 1
                        yield number, row
            except pyarrow.ArrowException as error:
                raise DataError(f"{path}: is not a readable Parquet file ({error})") from error

    return read


@sources.register("hub")
def hub(*, split: str = "train") -> Source:
    """Read data sets of the Hub: hub:owner/name or hub:owner/name/config, then :split or :split@revision."""

    def read(path: Path) -> Iterator[Row]:
        name, _, chosen = str(path).removeprefix(HUB).partition(":")
        chosen, _, revision = chosen.partition("@")
        owner, _, rest = name.partition("/")
        dataset, _, config = rest.partition("/")
        if not owner or not dataset:
            raise DataError(f"{path}: expected hub:owner/name, hub:owner/name/config or hub:owner/name/config:split")
        try:
            from datasets import load_dataset
        except ImportError as error:
            raise DataError(f"{path}: reading from the Hub needs datasets; pip install 'lingraft[hub]'") from error
        version = {"revision": revision} if revision else {}
        try:
            rows = load_dataset(f"{owner}/{dataset}", config or None, split=chosen or split, **version)
        # The library lets through whatever its many layers raise: network, authorisation, formats.
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataError(
                f"{path}: cannot be loaded from the Hub ({reason}); check name, config, split and network, or use a "
                "downloaded file"
            ) from error
        yield from enumerate(rows, start=1)

    return read


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


def _checked_header(cells: list[str], path: Path, number: int) -> list[str]:
    header = [cell.strip() for cell in cells]
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}, line {number}: the header names column {twice!r} twice; rename one")
    return header


def _row(header: list[str], cells: list[str], path: Path, number: int, cure: str) -> dict[str, str]:
    if len(cells) != len(header):
        raise DataError(
            f"{path}, line {number}: has {len(cells)} cell{'s' if len(cells) != 1 else ''}, but the header has "
            f"{len(header)} ({', '.join(header)}); {cure}"
        )
    return dict(zip(header, cells, strict=True))


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
        return row[column]
    known = [str(key) for key in row]
    nearest = difflib.get_close_matches(column, known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise DataError(
        f"{where}: there is no column {column!r} (for `{name}`); {hint}its columns are {', '.join(known) or 'none'}"
    )


def text_of(value: object, column: str, where: str) -> str:
    """Return a cell that must hold text.

    Raises:
        DataError: It is empty, no text, or no valid Unicode.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise DataError(f"{where}: column {column!r} has no text; fill it in or remove the line")
    if not isinstance(value, str):
        raise DataError(f"{where}: column {column!r} holds {type(value).__name__} {value!r}; expected text")
    return whole_characters(value, f"{where}: column {column!r}")


def _label(value: object, column: str, where: str, *, required: bool) -> str | None:
    missing = value is None or (isinstance(value, float) and math.isnan(value)) or not strip_label(str(value))
    if missing and required:
        raise DataError(f"{where}: column {column!r} has no label; fill it in or remove the line")
    if missing:
        return None
    if isinstance(value, (list, dict)):
        raise DataError(f"{where}: column {column!r} holds a {type(value).__name__}; expected one label")
    return whole_characters(strip_label(str(value)), f"{where}: column {column!r}")


def _identifier(value: object, column: str, where: str) -> str:
    if value is None or isinstance(value, (list, dict)) or not str(value).strip():
        raise DataError(f"{where}: column {column!r} has no identifier; fill it in or leave the field out")
    return whole_characters(str(value).strip(), f"{where}: column {column!r}")
