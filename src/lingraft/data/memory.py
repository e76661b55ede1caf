"""Tables that are given in Python instead of files: lists of dicts, pandas, polars, Arrow, data sets of the Hub.

They are lent for the time of a run under names as of files, ``train.memory``, and read as any table is. No library
is imported for it that the user has not: a table is known by the package that its type is from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..core.errors import DataError
from . import Row, Source, sources
from .cells import plain, refuse_twice
from .languages import canonical
from .stored_names import names_of_features, names_of_schema, with_names

SUFFIX = ".memory"

Table = Any
"""What :func:`rows_of` takes."""

Rows = Sequence[Mapping[str, Any]]

_lent: ContextVar[Mapping[str, Rows]] = ContextVar("lent", default=MappingProxyType({}))


@contextmanager
def lend(tables: Mapping[str, Table]) -> Iterator[None]:
    """Let tables be read, for a while, as files of their names are.

    Args:
        tables: By name; each ends in :data:`SUFFIX`.

    Raises:
        DataError: One is no table.
    """
    token = _lent.set({name: rows_of(table, name) for name, table in tables.items()})
    try:
        yield
    finally:
        _lent.reset(token)


def is_lent(name: str) -> bool:
    """Return whether there is a table of that name."""
    return name in _lent.get()


@sources.register("memory")
def memory() -> Source:
    """Read a table that is lent; rows are numbered from 1."""

    def read(path: Path) -> Iterator[Row]:
        if path.name not in _lent.get():
            raise DataError(
                f"{path.name}: was given in Python and is no file; give the same data again: lingraft.run(recipe, "
                f"data={{{path.name.partition('.')[0].partition('-')[0]!r}: …}})"
            )
        yield from enumerate(_lent.get()[path.name], start=1)

    return read


def rows_of(table: Table, name: str) -> list[Mapping[str, Any]]:
    """Return the rows of a table as plain data; what is missing in it is None.

    Args:
        table: A list (or any iterable) of dicts; a ``DataFrame`` of pandas or polars; a ``Table`` of Arrow; a
            ``Dataset`` of Hugging Face, whose numbered classes get their names.
        name: For messages.

    Raises:
        DataError: It is none of these.
    """
    rows = _converted(table, name)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise DataError(f"{name}, row {number}: is {type(row).__name__} {row!r}; expected a dict of columns")
    return [{str(column): plain(value) for column, value in row.items()} for row in rows]


def _converted(table: Table, name: str) -> list[Any]:
    """Return what a table has as rows; what its library cannot give is an error."""
    package, kind = type(table).__module__.partition(".")[0], type(table).__name__
    convert = CONVERTERS.get((package, kind))
    if convert is None:
        return list(_plain(table))
    refuse_twice(getattr(table, REPEATING.get(package, ""), ()), f"{name}: the table")
    try:
        return list(convert(table))
    # A library lets through whatever its layers raise of values that Python cannot hold.
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise DataError(
            f"{name}: {package} cannot give the rows of the {kind} ({reason}); leave the column out, or convert it"
        ) from error


def _plain(table: Table) -> Iterable[Any]:
    if isinstance(table, str | bytes | Mapping) or not isinstance(table, Iterable):
        raise DataError(
            f"data: {type(table).__name__} is no table; expected a list of dicts, a DataFrame of pandas or polars, an "
            "Arrow table or a datasets.Dataset"
        )
    return table


def _from_pandas(frame: Table) -> Iterable[Any]:
    plain = frame.astype(object)
    found: list[Any] = plain.where(plain.notna(), None).to_dict("records")
    return found


def _from_polars(frame: Table) -> Iterable[Any]:
    whole = frame.collect() if hasattr(frame, "collect") else frame
    found: list[Any] = whole.to_dicts()
    return found


def _from_arrow(table: Table) -> Iterable[Any]:
    return with_names(table.to_pylist(), names_of_schema(table.schema))


def _from_datasets(table: Table) -> Iterator[Any]:
    rows = table.with_format(None) if hasattr(table, "with_format") else table  # with another, rows are tables
    yield from with_names(rows, names_of_features(table.features))


CONVERTERS: Mapping[tuple[str, str], Callable[[Table], Iterable[Any]]] = {
    ("pandas", "DataFrame"): _from_pandas,
    ("polars", "DataFrame"): _from_polars,
    ("polars", "LazyFrame"): _from_polars,
    ("pyarrow", "Table"): _from_arrow,
    ("pyarrow", "RecordBatch"): _from_arrow,
    ("datasets", "Dataset"): _from_datasets,
    ("datasets", "IterableDataset"): _from_datasets,
}
"""By the package that a table's type is from, and the type's name."""

REPEATING = {"pandas": "columns", "pyarrow": "column_names"}
"""What the names of columns are called by libraries whose tables may have two of one name."""


def _is_column(given: Any) -> bool:
    """Return whether something has cells where a table has rows."""
    cells = given.tolist() if hasattr(given, "tolist") else given
    return isinstance(cells, list | tuple) and bool(cells) and isinstance(cells[0], str | int | float | None)


def name_tables(split: str, given: Table) -> tuple[dict[str, Table], str | dict[str, str]]:
    """Name the tables of a split: one, or one for each language.

    Args:
        split: ``train``, ``dev``, ``test`` or ``parallel``.
        given: A table, or a mapping from languages to tables.

    Returns:
        The tables by name, and the name, or the names by language, as a recipe's ``files`` has them.

    Raises:
        DataError: Two tables are of one language; or there is none, or columns are given instead.
    """
    if not isinstance(given, Mapping):
        return {f"{split}{SUFFIX}": given}, f"{split}{SUFFIX}"
    if not given:
        raise DataError(f"data.{split}: names no language; give a table, or tables by language, or leave it out")
    if all(map(_is_column, given.values())):
        raise DataError(
            f"data.{split}: a dict of columns ({', '.join(map(str, given))}) is no table; give a list of rows, each a "
            "dict, or a DataFrame"
        )
    names = {str(code): f"{split}-{canonical(str(code))}{SUFFIX}" for code in given}
    if len(set(names.values())) < len(given):
        raise DataError(f"data.{split}: names a language twice, in two spellings: {', '.join(names)}; join its tables")
    return {names[str(code)]: table for code, table in given.items()}, names
