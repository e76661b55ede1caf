"""What is given to predict on: which iterables, which rows, which texts; the same from Python and from files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from typing import Any, Final, TypeVar

from ..core.errors import DataError, LingraftError
from ..data.cells import ClassNumber, described, plain
from ..data.columns import describe_missing
from ..data.table import readable
from ..data.text import whole_characters
from ..tasks.kinds import Kind
from .own_names import OwnNames

Item = str | tuple[str, str] | Sequence[str] | Mapping[str, Any]
"""What is predicted on: a text, a pair of texts, a list of words, or an object as ``{"question": …, "context": …}``;
the run's kind of task says which (its model card shows one). Objects may have the run's own column names."""

Named = tuple[str, Any]
"""How messages call an item, and the item."""

T = TypeVar("T")

EMPTY: Final = object()
"""An item without text."""

LARGEST = 512
"""Items that are computed together at most: enough for full batches, little enough to wait for."""

HEAVIEST = 1_000_000
"""Characters after which no more items are computed together."""


def name_items(items: Iterable[Any]) -> Iterator[Named]:
    """Yield items by their number: ``text 2 of 5``, or ``text 2`` where nobody knows how many come.

    Raises:
        DataError: This is not an iterable of items.
    """
    if isinstance(items, str | bytes):
        raise DataError("expected a list of texts, got one string; put it in brackets: [text]")
    if isinstance(items, Mapping):
        raise DataError("expected a list of items, got one object; put it in brackets: [item]")
    if hasattr(items, "columns") and not hasattr(items, "column_names"):  # iterating a frame gives its columns
        raise DataError(
            f"expected the texts of a {type(items).__name__}: one column, as frame['text'], or its rows as objects"
        )
    if not isinstance(items, Iterable) or getattr(items, "ndim", 1) == 0:  # an array of no dimension has __iter__
        raise DataError(f"expected an iterable of texts (a list, a generator, a series), got {items!r:.60}")
    total = f" of {len(items)}" if isinstance(items, Sized) else ""
    return ((f"text {number}{total}", item) for number, item in enumerate(items, start=1))


def chunks_of(
    items: Iterable[T], first: int = LARGEST, weigh: Callable[[T], int] = lambda item: 0
) -> Iterator[list[T]]:
    """Yield items in lists, of ``first`` at first and of twice as many each time, so that the first need not wait.

    Args:
        items: Read as far as the list that is asked for goes.
        first: At most :data:`LARGEST`.
        weigh: The characters of an item, of which a list has about :data:`HEAVIEST` at most.

    Raises:
        LingraftError: The one that the items end in, after those before it.
    """
    left, size = iter(items), first
    while True:
        chunk: list[T] = []
        weight, problem = 0, None
        try:
            for item in islice(left, size):
                chunk.append(item)
                weight += weigh(item)
                if weight > HEAVIEST:
                    break
        except LingraftError as error:
            problem = error
        if chunk:
            yield chunk
        if problem is not None:
            raise problem
        if not chunk:
            return
        size = min(LARGEST, 2 * size)


def plain_item(item: Any, where: str, kind: Kind, names: OwnNames, *, paired: bool) -> Any:
    """Return an item as its kind of task reads it; :data:`EMPTY` where it has no text, and so no answer.

    Args:
        item: A text, several, or a row of a table.
        where: How messages call it.
        kind: Of the task.
        names: Of the columns of rows.
        paired: Whether the task has two texts.

    Raises:
        DataError: A row lacks a column, or a text holds half a character.
    """
    if isinstance(item, tuple):
        texts = map(plain, item)
        item = tuple("" if paired and text is None else text for text in texts)  # as of a row with an empty cell
    else:
        item = plain(item)
    if item is None:
        return EMPTY
    check_characters(item, where)
    if isinstance(item, Mapping):
        item = _item_of_row(item, where, kind, names, paired=paired)
        for name in kind.item_columns:
            cells = item.get(name)
            for cell in cells if isinstance(cells, list) else [cells]:
                readable(cell, name, where)
    return EMPTY if _is_empty(item, kind.item_columns) else item


def check_characters(value: Any, where: str) -> None:
    """Refuse text that cannot be written, wherever in a value it is.

    Raises:
        DataError: There is half a surrogate pair in it.
    """
    if isinstance(value, str):
        whole_characters(value, where)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            check_characters(key, f"{where}: the name of a column")
            check_characters(one, f"{where}: column {key!r}")
    elif isinstance(value, list | tuple):
        for one in value:
            check_characters(one, where)


def _item_of_row(row: Mapping[str, Any], where: str, kind: Kind, names: OwnNames, *, paired: bool) -> Any:
    if kind.item_columns:
        if names.lost and (lacking := [name for name in kind.item_columns if name not in row]):
            raise DataError(_no_column(row, lacking[0], lacking[0], where, names))
        mapped = {name: _mapped(row, column) for name, column in names.fields.items()}
        for name in kind.item_columns:
            if mapped.get(name) is _ABSENT and (name in names.chosen or name not in row):
                column = names.fields[name]
                several = [column] if isinstance(column, str) else list(map(str, column))
                absent = next(one for one in several if one not in row)
                raise DataError(_no_column(row, name, absent, where, names))
        return dict(row) | {name: value for name, value in mapped.items() if value is not _ABSENT}
    text = _text_of_row(row, where, kind, names)
    if not paired:
        return text
    other = _text_at(row, "text_b", names, where)
    return text if _is_empty(text, ()) else (text, other)


_ABSENT = object()


def _mapped(row: Mapping[str, Any], column: Any) -> Any:
    """Return the value of a column, or a list of those of several; a mark where one is not there."""
    if isinstance(column, list | tuple):
        return [row[one] for one in column] if all(one in row for one in column) else _ABSENT
    return row.get(str(column), _ABSENT)


def _text_of_row(row: Mapping[str, Any], where: str, kind: Kind, names: OwnNames) -> Any:
    """Return the text of a row, or its words."""
    *others, last = kind.text_columns
    for name in () if last in names.chosen else others:
        if (column := names.column_of(name, row)) is not None:
            value = readable(row[column], column, where)
            return value.split() if isinstance(value, str) else [] if value is None else value
    return _text_at(row, last, names, where)


def _text_at(row: Mapping[str, Any], name: str, names: OwnNames, where: str) -> str:
    """Return the text of our field ``name``; an empty one where its cell is empty."""
    column = names.column_of(name, row)
    if column is None:
        raise DataError(_no_column(row, name, str(names.fields.get(name, name)), where, names))
    value = readable(row[column], column, where)
    if isinstance(value, ClassNumber):
        return value.name
    if value is not None and not isinstance(value, str):
        raise DataError(f"{where}: column {column!r} holds {described(value):.80}; expected text")
    return value or ""


def _no_column(row: Mapping[str, Any], name: str, wanted: str, where: str, names: OwnNames) -> str:
    options = {"text": "--text", "text_b": "--text-b"}
    cure = f"call it {name!r}, or say which with {options[name]} COLUMN" if name in options else "add it"
    if names.lost:
        cure = f"{names.lost}, which says how the run calls it, is missing: put it back from a copy, or {cure}"
    return f"{describe_missing(row, wanted, where, f'(for `{name}`)')}; {cure}"


def _is_empty(item: Any, needed: Sequence[str]) -> bool:
    """Return whether there is nothing to predict on: no text, no words, or a row that lacks one it needs."""
    if isinstance(item, str):
        return not item.strip()
    if isinstance(item, Mapping):
        return any(key in item and (item[key] is None or _is_empty(item[key], ())) for key in needed)
    if isinstance(item, tuple) and len(item) == 2 and all(isinstance(text, str) for text in item):
        return not item[0].strip()
    return False if not isinstance(item, list | tuple) else not item
