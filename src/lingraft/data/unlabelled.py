"""Texts without labels: plain lines, or a column of a table."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import DataError
from .columns import describe_missing
from .table import SUFFIXES, cell_of, read_table, text_of
from .text import read_lines, suffix_of


def read_texts(
    path: Path, *, text: str = "text", cure: str = "call the one with the texts so, or give a file with a text a line"
) -> list[str]:
    """Read the texts of a file, each once: one that is repeated a million times takes no memory for it.

    Args:
        path: ``.jsonl``, ``.csv``, ``.tsv`` or ``.parquet`` with named columns; any other file has one text a line.
        text: Column of the text.
        cure: What to do where a table has no such column.

    Raises:
        DataError: The file is missing, empty, not UTF-8, or lacks the column.
    """
    if suffix_of(path) in SUFFIXES:
        found: dict[str, None] = {}
        for number, row in read_table(path):
            where = f"{path}, line {number}"
            if text not in row:
                raise DataError(f"{describe_missing(row, text, where, '(for `text`)')}; {cure}")
            found[text_of(cell_of(row, text, "text", where), text, where)] = None
    else:
        found = dict.fromkeys(line for _, line in read_lines(path) if line.strip())
    if not found:
        raise DataError(f"{path} has no text in it")
    return list(found)
