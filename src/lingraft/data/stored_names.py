"""The names of classes that are stored as numbers: in data sets of the Hub, in memory or as Parquet files.

``datasets`` writes what it knows of each column under the key ``huggingface`` of the schema's metadata; a column of
``ClassLabel``, or of lists of such, has a name for each number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .cells import ClassNumber, written

KEY = b"huggingface"

Names = Mapping[str, tuple[str, ...]]
"""Of columns that have some: those of their numbers, from 0."""


def with_names(rows: Iterable[Mapping[str, Any]], names: Names) -> Iterator[Mapping[str, Any]]:
    """Yield rows in which the numbers of classes know their names."""
    for row in rows:
        there = {column: numbered(row[column], classes) for column, classes in names.items() if column in row}
        yield {**row, **there} if there else row


def numbered(value: Any, names: Sequence[str]) -> Any:
    """Return a number of a class, or a list of such, with its name; -1, for a label that is withheld, as None."""
    if isinstance(value, list | tuple):
        return [numbered(one, names) for one in value]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value >= len(names):
        return value
    return ClassNumber(value, names[value]) if value >= 0 else None if value == -1 else value


def names_in(about: bytes) -> dict[str, tuple[str, ...]]:
    """Return the names of each column that has some, from what ``datasets`` writes; none from anything else."""
    try:
        features = json.loads(about)["info"]["features"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return {}
    return names_of_features(features)


def names_of_schema(schema: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of each column of an Arrow schema that has some."""
    return names_in((schema.metadata or {}).get(KEY, b"{}"))


def names_of_features(features: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of each column that has some, from the features of a data set, or from what they are as JSON."""
    if not isinstance(features, Mapping):
        return {}
    return {str(column): names for column, feature in features.items() if (names := _names_of(feature))}


def _names_of(feature: Any) -> tuple[str, ...]:
    """Return the names of a class, or of the elements of a list."""
    for _ in range(3):  # lists of lists are none of ours
        if isinstance(feature, list) and len(feature) == 1:
            feature = feature[0]
        elif (inner := _part(feature, "feature")) is not None:
            feature = inner
    if isinstance(feature, Mapping) and feature.get("_type") != "ClassLabel":
        return ()
    names = _part(feature, "names")
    known = isinstance(names, list) and all(isinstance(name, str) and name.strip() for name in names)
    return tuple(names) if known and isinstance(names, list) else ()


def _part(feature: Any, name: str) -> Any:
    return feature.get(name) if isinstance(feature, Mapping) else getattr(feature, name, None)


def named(value: Any, names: Sequence[str]) -> Any:
    """Return the name that a number of a class is given, or else its own; anything else as it is."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and 0 <= value < len(names):
        return names[value]
    return written(value) if isinstance(value, ClassNumber) else value
