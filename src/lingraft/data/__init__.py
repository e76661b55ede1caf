"""Where text comes from: a source reads one file and yields plain rows.

Rows are mappings from column names to values; a task's field map turns them into examples.
Mistakes in a file raise :class:`~lingraft.errors.DataError` with file and line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..registry import Registry

Source = Callable[[Path], Iterator[Mapping[str, Any]]]

sources = Registry("lingraft.data")
