"""Spreadsheets (.xlsx): the first sheet, its first row being the header.

Such a file is a zip archive of XML. What it unpacks to is bounded before anything is unpacked, and rows are read one
by one; what stands right of the header is no part of the table. A cell that shows an error, a formula whose value was
never saved and a cell that is merged into another have no value of their own, which is said where one is asked for.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from . import Row, Source, sources
from .bounds import COLUMNS, read_whole
from .cells import Unreadable, refuse_twice, written
from .columns import HeadedRow
from .sheet_gaps import Gaps, gaps_of
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
            sheets = _sheets(openpyxl, content)
            if not sheets:
                raise DataError(f"{path}: has no sheet with cells, only charts; put the table on a sheet")
            found = False
            for row in _rows(sheets[0], path):
                found = True
                yield row
            if not found and len(sheets) > 1:
                raise DataError(
                    f"{path}: the sheet {sheets[0].title!r} has no rows, and only the first sheet is read; move the "
                    f"one with the table to the front (there is also {sheets[1].title!r})"
                )
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


def _sheets(openpyxl: Any, content: io.BytesIO) -> list[Any]:
    """Return the sheets that have cells, without those of charts: openpyxl stumbles over one that has no chart."""
    reader = openpyxl.reader.excel.ExcelReader(content, read_only=True, data_only=True, keep_links=False)
    reader.read_chartsheet = lambda sheet, rel: None
    reader.read()
    return list(reader.wb.worksheets)


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
    for cells in sheet.iter_rows(max_col=COLUMNS, max_row=1):
        header = _header([_value(cell, sheet, 1, column, None) for column, cell in enumerate(cells, 1)], sheet, path)
    if header is None:
        return
    gaps: Gaps | None = None
    for number, cells in enumerate(sheet.iter_rows(min_row=2, max_col=len(header)), start=2):
        there = [*cells, *[None] * (len(header) - len(cells))]
        if gaps is None and any(cell is None or cell.value is None for cell in there):
            gaps = gaps_of(sheet, len(header))
        if all(cell.value is None for cell in cells) and not (gaps and number in gaps.rows):
            continue
        values = [_value(cell, sheet, number, column, gaps) for column, cell in enumerate(there, 1)]
        yield number, HeadedRow(dict(zip(header, values, strict=True)), 1)


def _value(cell: Any, sheet: Any, row: int, column: int, gaps: Gaps | None) -> Any:
    """Return the value of a cell, or why it has none."""
    value = None if cell is None else cell.value
    if value is None:
        reason = gaps.reason(row, column) if gaps is not None else None
        return None if reason is None else Unreadable(f"sheet {sheet.title!r}, {reason}")
    if cell.data_type == "e":
        return Unreadable(f"sheet {sheet.title!r}, cell {cell.coordinate}: the error {value}", str(value))
    return value


def _header(cells: list[Any], sheet: Any, path: Path) -> list[str]:
    faulty = next((cell for cell in cells if isinstance(cell, Unreadable)), None)
    if faulty is not None:
        raise DataError(f"{path}, line 1: the header holds {faulty.reason}; write the column's name")
    names = ["" if cell is None else written(cell).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise DataError(
            f"{path}, line 1: the header is empty; the first row of the sheet {sheet.title!r} must name the columns"
        )
    refuse_twice(names, f"{path}, line 1: the header")
    return names
