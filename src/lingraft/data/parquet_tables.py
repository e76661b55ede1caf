"""Parquet as a source of rows; how much it unpacks to is bounded before it is unpacked.

A column of a few long values is kept as its different values and a number for each row, so a file of kilobytes may
hold gigabytes: texts stay in that form until their lengths are known to be those of texts.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from . import Row, Source, sources
from .bounds import ALWAYS_BYTES, LINE_BYTES, RATIO, read_whole
from .cells import Unreadable, refuse_twice
from .stored_names import names_of_schema, with_names
from .text import open_bytes

SUFFIX = ".parquet"

ROWS = 256
"""That are in memory at a time."""

ROW_BYTES = 50
"""That a row takes at least once it is read: as text it has a separator and a line end, here it may have no bit."""


@sources.register("parquet")
def parquet() -> Source:
    """Parquet files; rows are numbered from 1."""

    def read(path: Path) -> Iterator[Row]:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise DataError(f"{path}: reading Parquet needs pyarrow; pip install 'lingraft[parquet]'") from error
        number = size = 0
        most = max(ALWAYS_BYTES, RATIO * path.stat().st_size)
        with open_bytes(path) as stream:
            # Its end is read first, which what is being unpacked does not have yet.
            whole = io.BytesIO(read_whole(stream, path)) if path.suffix.lower() == ".gz" else stream
            try:
                content = pyarrow.parquet.ParquetFile(whole)
                schema, about = content.schema_arrow, content.metadata
                refuse_twice(schema.names, f"{path}: its schema")
                names = names_of_schema(schema)
                packed = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
                _refuse_more(path, most, max(packed, ROW_BYTES * about.num_rows))
                texts = [field.name for field in schema if _is_text(field.type)]
                content = pyarrow.parquet.ParquetFile(whole, read_dictionary=texts)
                for batch in content.iter_batches(ROWS):
                    size += sum(_bytes_of(column, f"{path}, after row {number}") for column in batch)
                    _refuse_more(path, most, size)
                    columns = {name: _values(column) for name, column in zip(batch.schema.names, batch, strict=True)}
                    rows = (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True))
                    for row in with_names(rows, names):
                        number += 1
                        yield number, row
            except (pyarrow.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
                raise DataError(f"{path}: is not a readable Parquet file ({_first_line(error)})") from error

    return read


def _refuse_more(path: Path, most: int, size: int) -> None:
    if size > most:
        raise DataError(
            f"{path}: unpacks to more than {most:,} bytes, over {RATIO} times its size, which text never does; if it "
            "is right all the same, give it as .jsonl or .csv"
        )


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    kinds = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(is_kind(kind) for is_kind in kinds)


def _bytes_of(column: Any, where: str) -> int:
    """Return how much the values of a column are, each counted where it occurs.

    Raises:
        DataError: One of them is longer than any text.
    """
    from pyarrow import compute, types

    is_coded = types.is_dictionary(column.type)
    if not _is_text(column.type.value_type if is_coded else column.type):
        return int(column.nbytes)
    lengths = compute.binary_length(column.dictionary if is_coded else column)
    lengths = lengths.take(column.indices) if is_coded else lengths
    longest = compute.max(lengths).as_py() or 0
    if longest > LINE_BYTES:
        raise DataError(
            f"{where}: a cell has {longest:,} bytes; at most {LINE_BYTES:,} are read of one; is this a table of texts?"
        )
    return int(compute.sum(lengths).as_py() or 0)


def _values(column: Any) -> list[Any]:
    """Return the values of a column of Parquet; of one that has a faulty value, what can be read."""
    with suppress(ValueError, OverflowError):
        return list(column.to_pylist())
    return [_value(cell) for cell in column]


def _value(cell: Any) -> object:
    try:
        return cell.as_py()
    except (ValueError, OverflowError) as error:
        return Unreadable(_first_line(error), _shown(cell))


def _shown(cell: Any) -> str | None:
    """Return a cell as Arrow writes it, as a date after the year 9999, which Python has not; None where it cannot."""
    import pyarrow

    try:
        text: str = cell.cast(pyarrow.string()).as_py()
    except (pyarrow.ArrowException, ValueError):
        return None
    whole = re.sub(r"\.0+$", "", text).removesuffix(" 00:00:00")
    return None if whole.startswith("<") else whole  # in brackets: out of its range, too


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
