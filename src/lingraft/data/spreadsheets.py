"""Spreadsheets (.xlsx): the first sheet, its first row being the header.

Such a file is a zip archive of XML. What it unpacks to is bounded before anything is unpacked, and rows are read one
by one; what stands right of the header is no part of the table.
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from . import Row, Source, sources
from .bounds import COLUMNS, read_whole
from .text import open_bytes

SUFFIX = ".xlsx"
SHEET_RATIO, SHEET_ALWAYS_BYTES = 25, 20_000_000
"""A spreadsheet may unpack to so many times its size (those of texts do to three to fifteen), and to so many bytes in
any case: its strings are in memory as a whole."""


@sources.register("xlsx")
def xlsx() -> Source:
    """Spreadsheets; the first sheet is read, below its first row, which names the columns."""

    def read(path: Path) -> Iterator[Row]:
        openpyxl = _library(path)
        with open_bytes(path) as stream:
            content = io.BytesIO(read_whole(stream, path))
        _check_unpacked(content, path)
        try:
            book = openpyxl.load_workbook(content, read_only=True, data_only=True, keep_links=False)
            yield from _rows(book.worksheets[0], path)
        except DataError:
            raise
        # The library lets through whatever faulty archives and faulty XML raise in its many layers.
        except Exception as error:
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise DataError(f"{path}: is not a readable spreadsheet ({reason}); save it again as .xlsx") from error

    return read


def _library(path: Path) -> Any:
    try:
        import openpyxl
    except ImportError as error:
        raise DataError(
            f"{path}: reading spreadsheets needs openpyxl; pip install 'lingraft[xlsx]', or save the sheet as .csv"
        ) from error
    return openpyxl


def _check_unpacked(content: io.BytesIO, path: Path) -> None:
    """Hold against its bound what an archive says that it unpacks to; more than it says, none gives.

    Raises:
        DataError: It is more, or this is no archive.
    """
    try:
        with zipfile.ZipFile(content) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise DataError(f"{path}: is not a readable spreadsheet ({error}); save it again as .xlsx") from error
    most = max(SHEET_ALWAYS_BYTES, SHEET_RATIO * content.getbuffer().nbytes)
    if unpacked > most:
        raise DataError(
            f"{path}: unpacks to {unpacked:,} bytes, and at most {most:,} are read, {SHEET_RATIO} times its size; save "
            "the sheet as .csv"
        )


def _rows(sheet: Any, path: Path) -> Iterator[Row]:
    sheet.reset_dimensions()  # what a file says of its size need not be true
    header: list[str] | None = None
    for number, cells in enumerate(sheet.iter_rows(max_col=COLUMNS, max_row=1, values_only=True), start=1):
        header = _header(cells, path, number)
    if header is None:
        return
    for number, cells in enumerate(sheet.iter_rows(min_row=2, max_col=len(header), values_only=True), start=2):
        if any(cell is not None for cell in cells):
            yield number, dict(zip(header, [*cells, *[None] * (len(header) - len(cells))], strict=True))


def _header(cells: tuple[Any, ...], path: Path, number: int) -> list[str]:
    names = ["" if cell is None else str(cell).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    twice = next((name for name, count in Counter(names).items() if name and count > 1), None)
    if not names or twice is not None:
        fault = f"names column {twice!r} twice; rename one" if names else "is empty; it must name the columns"
        raise DataError(f"{path}, line {number}: the header {fault}")
    return names
