"""Where text comes from: a source reads one file and yields plain rows.

A row is its line number (1-based, as an editor shows it) and a mapping from column names to
values; a task's field map turns rows into examples. Mistakes in a file raise
:class:`~lingraft.errors.DataError` with file and line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..core.registry import Registry

Row = tuple[int, Mapping[str, Any]]
Source = Callable[[Path], Iterator[Row]]

sources = Registry("lingraft.data")
