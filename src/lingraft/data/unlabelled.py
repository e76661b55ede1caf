"""Texts to label, without labels: plain lines, or a column of a table, from a file or standard input."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from .table import SUFFIXES, cell_of, read_table, text_of
from .text import read_lines, suffix_of

Text = str | tuple[str, str]


def read_texts(path: Path | None, *, text: str = "text", text_b: str | None = None) -> list[Text]:
    """Read texts, or pairs where ``text_b`` names a second column.

    Args:
        path: ``.jsonl``, ``.csv``, ``.tsv`` or ``.parquet`` with named columns; any other file has one
            text a line. None reads lines from standard input; a line that begins with ``{`` is JSON.
        text: Column of the text.
        text_b: Column of the second text.

    Raises:
        DataError: The file is missing, empty, not UTF-8, or lacks the column.
    """
    if path is None:
        return _from_standard_input(text, text_b)
    if suffix_of(path) in SUFFIXES:
        found = [_of_row(row, number, path, text, text_b) for number, row in read_table(path)]
    else:
        if text_b is not None:
            raise DataError(f"{path}: pairs of texts need named columns; give a .jsonl, .csv or .tsv file")
        found = [line for _, line in read_lines(path) if line.strip()]
    if not found:
        raise DataError(f"{path} has no text in it")
    return found


def read_items(path: Path | None, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Read questions or choices: the rows of a table, of which all of ``columns`` must be there.

    Args:
        path: ``.jsonl``, ``.csv``, ``.tsv`` or ``.parquet``; None reads JSON lines from standard input.
        columns: ``question`` and ``context``, or ``text`` and ``alternatives``.

    Raises:
        DataError: The file is missing, empty, no table, or lacks a column.
    """
    if path is None:
        with _standard_input() as copied:
            return read_items(copied, columns)
    found = []
    for number, row in read_table(path):
        for column in columns:
            cell_of(row, column, column, f"{path}, line {number}")
        found.append(dict(row))
    if not found:
        raise DataError(f"{path} has no rows")
    return found


def _from_standard_input(text: str, text_b: str | None) -> list[Text]:
    with _standard_input() as path:
        return read_texts(path, text=text, text_b=text_b)


@contextmanager
def _standard_input() -> Iterator[Path]:
    """Write what comes in to a file for a moment."""
    content = sys.stdin.buffer.read()
    if not content.strip():
        raise DataError("standard input is empty; give one text a line, or JSON lines")
    suffix = ".jsonl" if content.lstrip().startswith(b"{") else ".txt"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"standard-input{suffix}"
        path.write_bytes(content)
        yield path


def _of_row(row: Mapping[str, Any], number: int, path: Path, text: str, text_b: str | None) -> Text:
    where = f"{path}, line {number}"
    a = text_of(cell_of(row, text, "text", where), text, where)
    return a if text_b is None else (a, text_of(cell_of(row, text_b, "text_b", where), text_b, where))
