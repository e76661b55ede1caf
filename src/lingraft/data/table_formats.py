"""The formats of tables: JSON Lines and arrays, CSV with whatever separates its cells, TSV, the Hub.

Each is a source, registered under its suffix, that yields numbered rows: column to value.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from ..core.counted import counted
from ..core.errors import DataError
from . import Row, Source, sources
from .bounds import COLUMNS, LINE_BYTES, read_whole
from .cells import refuse_twice
from .columns import HeadedRow
from .standard_input import STANDARD_INPUT
from .stored_names import names_of_features, with_names
from .text import open_bytes, read_lines, suffix_of

HUB = "hub:"
BLANKS = re.compile(r"[ \t\r\n]*")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
USUAL = {".csv": ",", ".tsv": "\t"}
SEPARATOR = re.compile(r'"?sep=([,;\t|])"?[,;\t|]*')
"""What Excel writes above the header to say what separates cells."""
csv.field_size_limit(LINE_BYTES)


@sources.register("jsonl")
def jsonl() -> Source:
    """JSON Lines, one object a line; or one JSON array of objects, however it is laid out."""

    def read(path: Path) -> Iterator[Row]:
        if path is not STANDARD_INPUT and _is_array(path):
            yield from _array(path)
            return
        for number, line in read_lines(path):
            if not line.strip():
                continue
            row = _parsed(line, f"{path}, line {number}")
            if not isinstance(row, dict):
                raise DataError(
                    f"{path}, line {number}: is a JSON {type(row).__name__}, not an object; expected one object a "
                    'line, such as {"text": "…", "label": "…"}'
                )
            yield number, row

    return read


def _is_array(path: Path) -> bool:
    with open_bytes(path) as stream:
        return stream.peek().removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")


def _array(path: Path) -> Iterator[Row]:
    with open_bytes(path) as stream:
        content = read_whole(stream, path)
    for number, row in enumerate(_items(content.decode("utf-8-sig", "replace"), path), start=1):
        if not isinstance(row, dict):
            raise DataError(
                f"{path}, item {number}: is a JSON {type(row).__name__}, not an object; expected an array of objects, "
                'such as [{"text": "…", "label": "…"}]'
            )
        yield number, row


def _items(text: str, path: Path) -> Iterator[Any]:
    """Yield the items of a JSON array one by one: all at once take thirty times the memory of the text."""
    decoder, at = json.JSONDecoder(object_pairs_hook=_object), _after_blanks(text, 0) + 1
    at = _after_blanks(text, at)
    while text[at : at + 1] != "]":
        try:
            item, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise _no_json(str(path), error) from error
        yield item
        at = _after_blanks(text, at)
        if text[at : at + 1] == ",":
            at = _after_blanks(text, at + 1)
            if text[at : at + 1] == "]":
                raise _no_json(str(path), json.JSONDecodeError("Expecting value", text, at))
        elif text[at : at + 1] != "]":
            raise _no_json(str(path), json.JSONDecodeError("Expecting ',' delimiter", text, at))
    if _after_blanks(text, at + 1) != len(text):
        raise _no_json(str(path), json.JSONDecodeError("Extra data", text, at + 1))


def _after_blanks(text: str, at: int) -> int:
    found = BLANKS.match(text, at)
    return found.end() if found else at


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise _no_json(where, error) from error


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, in which each key is to stand once: of two values one would be lost."""
    found = dict(members)
    if len(found) < len(members):
        twice = next(key for key, count in Counter(key for key, _ in members).items() if count > 1)
        raise ValueError(f"the key {twice!r} stands twice in an object")
    return found


def _no_json(where: str, error: Exception) -> DataError:
    return DataError(
        f"{where}: is not JSON ({error}); expected one object a line, or an array of objects, such as "
        '{"text": "…", "label": "…"}'
    )


@sources.register("csv")
def comma_separated() -> Source:
    """CSV with a header; cells may be quoted, and be separated by semicolons, tabs or bars."""
    return partial(_rows_below_header, usual=",")


@sources.register("tsv")
def tab_separated() -> Source:
    """TSV with a header; quotes are ordinary characters."""
    return partial(_rows_below_header, usual="\t")


def _rows_below_header(path: Path, usual: str) -> Iterator[Row]:
    header: list[str] | None = None
    header_line = 0
    separator, rows = _cells_of(path, usual)
    for number, cells in rows:
        if header is None:
            header, header_line = _checked_header(cells, path, number), number
        elif _is_blank(cells):
            continue
        elif len(cells) == len(header):
            yield number, HeadedRow(dict(zip(header, cells, strict=True)), header_line)
        else:
            tabs = separator == usual == "\t"
            quotes = "put" if len(cells) > len(header) else "leave no cell out, and put"
            cure = (
                "columns are separated by one tab each"
                if tabs
                else f"{quotes} texts with {DELIMITERS[separator]} in double quotes"
            )
            raise DataError(
                f"{path}, line {number}: has {len(cells)} cell{'s' if len(cells) != 1 else ''}, but the header has "
                f"{len(header)} ({', '.join(header)}); {cure}"
            )


def _is_blank(cells: list[str]) -> bool:
    """Return whether a row of several cells has nothing in any, as spreadsheets write the rows below a table."""
    return len(cells) > 1 and not any(cell.strip() for cell in cells)


def describe_blank_rows(path: Path) -> str | None:
    """Return a sentence about how many rows of a table have delimiters alone; None where it has none, or is none.

    Raises:
        DataError: It cannot be read.
    """
    if suffix_of(path) not in USUAL:
        return None
    blank = [number for number, cells in read_cells(path) if _is_blank(cells)]
    if not blank:
        return None
    return f"{path.name}: {counted(len(blank), 'empty row')} left out, the first on line {blank[0]}"


def read_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line that a row of a CSV or TSV begins on, and its cells; empty lines are no rows.

    Raises:
        DataError: As :func:`read_lines`; or a quote is left open, or a cell is too long.
    """
    yield from _cells_of(path, USUAL[suffix_of(path)])[1]


def _cells_of(path: Path, usual: str) -> tuple[str, Iterator[tuple[int, list[str]]]]:
    """Return what separates the cells, as the first line shows, and each row with the line that it begins on."""
    lines, ahead = read_lines(path), list[tuple[int, str]]()
    said: str | None = None
    for number, line in lines:
        if said is None and (found := SEPARATOR.fullmatch(line)):
            said, line = found[1], ""
        ahead.append((number, line))
        if line.strip():
            break
    separator = said or (_delimiter(ahead[-1][1], usual) if ahead else None) or usual
    whole = chain(ahead, lines)
    if separator == usual == "\t":
        return separator, ((number, line.split("\t")) for number, line in whole if line)
    return separator, _quoted_rows(
        path, csv.reader((f"{line}\n" for _, line in whole), delimiter=separator, strict=True)
    )


def _quoted_rows(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    while True:
        number = reader.line_num + 1  # where the row begins: a quoted cell may hold line breaks
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{path}, line {number}: {_no_csv(error)}") from error
        if cells is None:
            return
        if cells:
            yield number, cells


def _no_csv(error: csv.Error) -> str:
    if "field larger" in str(error):
        return (
            f"a cell is longer than {LINE_BYTES:,} characters, the most that is read; is a quote left open here? If "
            "not, shorten the cell"
        )
    return f"is not CSV ({error}); is a quote left open here?"


def delimiter_of(path: Path) -> str | None:
    """Return what separates the cells of a table's header; None for a file that is no such table, or has one column.

    What the suffix promises is believed where it is there at all.

    Raises:
        DataError: As :func:`read_lines`.
    """
    usual = USUAL.get(suffix_of(path))
    if usual is None:
        return None
    header = next((line for _, line in read_lines(path) if line.strip()), "")
    return _delimiter(header, usual)


def _delimiter(header: str, usual: str) -> str | None:
    found = {one: width for one in DELIMITERS if (width := len(_cells(header, one))) > 1}
    return usual if usual in found else max(found, key=lambda one: found[one], default=None)


def describe_delimiter(path: Path) -> str | None:
    """Return a sentence about what separates the cells of a table, where its suffix promises something else."""
    found = delimiter_of(path)
    usual = USUAL.get(suffix_of(path))
    return None if found in (None, usual) else f"{path.name}: cells are separated by {DELIMITERS[found]}"


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


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
        yield from enumerate(with_names(rows, names_of_features(getattr(rows, "features", None))), start=1)

    return read


def _checked_header(cells: list[str], path: Path, number: int) -> list[str]:
    if len(cells) > COLUMNS:
        raise DataError(f"{path}, line {number}: has {len(cells):,} columns; at most {COLUMNS:,} are read")
    header = [cell.strip() for cell in cells]
    refuse_twice(header, f"{path}, line {number}: the header")
    return header
