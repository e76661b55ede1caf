"""Where a file is not, which one may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

LOOKED_AT = 1_000
"""Entries of a folder that are compared by name."""


def nearest_file(names: Sequence[Path]) -> str:
    """Say which file is nearest to one that is missing, as the end of a sentence.

    Args:
        names: How it could be called, the likeliest first; all in one folder.
    """
    folder = names[0].parent
    try:
        if not folder.is_dir():
            there = next(parent for parent in (*folder.parents, Path()) if parent.is_dir())
            return f"there is no folder {folder}{_or_rather(folder, there)}"
        entries = sorted(entry.name for entry in islice(folder.iterdir(), LOOKED_AT) if not entry.name.startswith("."))
    except OSError as error:
        return f"{folder} cannot be looked into ({error.strerror})"
    if not entries:
        return f"the folder {folder} is empty"
    near = [found[0] for name in names for found in [difflib.get_close_matches(name.name, entries, 1, 0.5)] if found]
    best = max(near, key=lambda entry: max(_likeness(name.name, entry) for name in names), default=None)
    if best is not None:
        return f"did you mean {folder / best}?"
    more = f" and {len(entries) - 3} more" if len(entries) > 3 else ""
    return f"{folder} has {', '.join(entries[:3])}{more}"


def _or_rather(folder: Path, there: Path) -> str:
    """Return the nearest name of a folder in the last one on its way that exists."""
    missing = folder.parts[len(there.parts)] if there != Path() else folder.parts[0]
    folders = [entry.name for entry in islice(there.iterdir(), LOOKED_AT) if entry.is_dir()]
    near = difflib.get_close_matches(missing, folders, 1, 0.5)
    return f"; did you mean {there / near[0]}?" if near else ""


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
