"""The names of classes that a file stores as numbers: the Hub keeps them in the schema of its Parquet files.

``datasets`` writes what it knows of each column under the key ``huggingface`` of the schema's metadata; a column of
``ClassLabel``, or of lists of such, has a name for each number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from .text import open_bytes, suffix_of

KEY = b"huggingface"


def stored_names(path: Path | str, column: str) -> tuple[str, ...]:
    """Return the names of the numbers in a column, from 0, where the file has some; else none.

    Raises:
        DataError: The file cannot be read.
    """
    path = Path(path)
    if suffix_of(path) != ".parquet":
        return ()
    stat = path.stat() if path.is_file() else None
    return _names(path, (stat.st_mtime_ns, stat.st_size) if stat else None).get(column, ())


@lru_cache(maxsize=256)
def _names(path: Path, version: tuple[int, int] | None) -> Mapping[str, tuple[str, ...]]:
    """Return the names of all columns of a Parquet file."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(f"{path}: reading Parquet needs pyarrow; pip install 'lingraft[parquet]'") from error
    with open_bytes(path) as stream:
        try:
            metadata = pyarrow.parquet.read_schema(stream).metadata or {}
        except pyarrow.ArrowException as error:
            raise DataError(f"{path}: is not a readable Parquet file ({error})") from error
    return names_in(metadata.get(KEY, b"{}"))


def names_in(about: bytes) -> dict[str, tuple[str, ...]]:
    """Return the names of each column that has some, from what ``datasets`` writes; none from anything else."""
    try:
        features = json.loads(about)["info"]["features"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return {}
    if not isinstance(features, Mapping):
        return {}
    return {str(column): names for column, feature in features.items() if (names := _names_of(feature))}


def _names_of(feature: Any) -> tuple[str, ...]:
    """Return the names of a class, or of the elements of a list."""
    for _ in range(3):  # lists of lists are none of ours
        if isinstance(feature, list) and len(feature) == 1:
            feature = feature[0]
        elif isinstance(feature, Mapping) and isinstance(feature.get("feature"), Mapping):
            feature = feature["feature"]
    if not isinstance(feature, Mapping) or feature.get("_type") != "ClassLabel":
        return ()
    names = feature.get("names")
    known = isinstance(names, list) and all(isinstance(name, str) and name.strip() for name in names)
    return tuple(names) if known and isinstance(names, list) else ()


def named(value: Any, names: tuple[str, ...]) -> Any:
    """Return the name of a whole number that has one; anything else as it is."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return names[value] if whole and 0 <= value < len(names) else value
