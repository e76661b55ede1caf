"""Where a file or a folder is not, which one may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

LOOKED_AT = 1_000
"""Entries of a folder that are compared by name."""

LIKELY = 8
"""Entries of near names that are looked at whether they suit."""


def nearest_file(
    names: Sequence[Path],
    suits: Callable[[Path], bool] = lambda path: True,
    never: Callable[[str], bool] = lambda name: False,
) -> str:
    """Say which file is nearest to one that is missing, as the end of a sentence.

    Args:
        names: How it could be called, the likeliest first; all in one folder.
        suits: Which of those with near names are rather meant than the others.
        never: Names that are not meant, however near they are.
    """
    folder = names[0].parent
    try:
        if not folder.is_dir():
            there = next(parent for parent in (*folder.parents, Path()) if parent.is_dir())
            where = "" if folder.is_absolute() else f" in {Path.cwd()}"
            return f"there is no folder {folder}{where}{_or_rather(folder, there)}"
        entries = sorted(entry.name for entry in islice(folder.iterdir(), LOOKED_AT) if not entry.name.startswith("."))
    except OSError as error:
        return f"{folder} cannot be looked into ({error.strerror})"
    if not entries:
        return f"the folder {folder} is empty"
    likely = [entry for entry in entries if not never(entry)]
    near = [one for name in names for one in difflib.get_close_matches(name.name, likely, LIKELY, 0.5)]
    near = [one for one in near if suits(folder / one)] or near
    best = max(near, key=lambda entry: max(_likeness(name.name, entry) for name in names), default=None)
    if best is not None and folder / best in names:
        return f"what is there under this name is no regular file ({folder / best})"
    if best is not None:
        return f"did you mean {folder / best}?"
    more = f" and {len(entries) - 3} more" if len(entries) > 3 else ""
    return f"{folder} has {', '.join(entries[:3])}{more}"


def suggest_file(path: Path, suits: Callable[[Path], bool] = lambda path: True) -> str:
    """Return the question whether the file was meant whose name is nearest to a missing one; nothing where none is."""
    said = nearest_file([path], suits)
    return said.rpartition("; ")[2] if said.endswith("?") else ""


def suggest_folder(folder: Path, mark: str) -> str:
    """Say which folders that have a certain file may have been meant, as the end of a sentence.

    Args:
        folder: One that is not there, or has no such file; of one that has it nothing is said.
        mark: Name of the file.
    """
    if not folder.is_dir() and not folder.parent.is_dir():
        question = suggest_file(folder)
        return question and f"; {question}"
    if (folder / mark).is_file():
        return ""
    within, beside = _holding(folder, mark), _holding(folder.parent, mark)
    near = difflib.get_close_matches(folder.name, [place.name for place in beside], 1, 0.5)
    if len(within) == 1 or (near and not within):
        return f"; did you mean {within[0] if within else folder.parent / near[0]}?"
    some = ", ".join(map(str, [*within, *beside][:3]))
    return some and f"; there are {some}{', …' if len(within) + len(beside) > 3 else ''}"


def _holding(folder: Path, mark: str) -> list[Path]:
    """Return the folders in another that have a file of some name."""
    try:
        return sorted(entry for entry in islice(folder.iterdir(), LOOKED_AT) if (entry / mark).is_file())
    except OSError:
        return []


def _or_rather(folder: Path, there: Path) -> str:
    """Return the nearest name of a folder in the last one on its way that exists."""
    missing = folder.parts[len(there.parts)] if there != Path() else folder.parts[0]
    folders = [entry.name for entry in islice(there.iterdir(), LOOKED_AT) if entry.is_dir()]
    near = difflib.get_close_matches(missing, folders, 1, 0.5)
    return f"; did you mean {there / near[0]}?" if near else ""


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
