"""A run folder that grows by a language: what was trained without it is set aside, whole.

Languages are learnt together, so trials with one more are other trials, of all languages; numbers of both in one
table would not belong together. The run that was there becomes a folder of its own within, which can be used, scored
and reported as before; the run with all languages takes its place, from states that are encoded already.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..core.errors import LingraftError
from ..core.files import write_atomically
from ..core.written_recipe import read_written_recipe
from ..data.languages import canonical
from ..recipe.settings import Recipe
from .identity import deciding_settings

EARLIER = "earlier"
"""The folder, in a run's, of the runs of fewer languages."""

TARGETS = "task.target_languages"

KEPT = ("run.json", "recipe.yaml")
"""What is copied: the mark of a run's folder, and what says, until all is moved, that something is to be."""


def earlier_place(folder: Path, recipe: Recipe) -> Path | None:
    """Return where a folder's run would be set aside; None unless ``recipe`` is the same with more target languages.

    Args:
        folder: Perhaps of a run.
        recipe: What is to be run there.
    """
    if not any((folder / name).exists() for name in ("trials", EARLIER)):
        return None
    try:
        theirs, ours = read_written_recipe(folder), recipe.model_dump(mode="json", by_alias=True)
        before, now = ({canonical(code) for code in _targets(values)} for values in (theirs, ours))
    except (LingraftError, LookupError, AttributeError, TypeError):
        return None  # whatever it holds, it is no run of fewer languages
    if not before < now or not _is_grown(_other_settings(theirs), _other_settings(ours)):
        return None
    return _free_place(folder, folder / EARLIER / f"{len(before)}-target{'' if len(before) == 1 else 's'}")


def _free_place(folder: Path, place: Path) -> Path:
    """Return ``place``, or the next of its names that holds nothing of what would be moved: another run is there."""
    moved, number, found = _moved(folder), 1, place
    while any((found / entry.name).exists() for entry in moved):
        number += 1
        found = place.with_name(f"{place.name}-{number}")
    return found


def _moved(folder: Path) -> list[Path]:
    """Return what of a run's folder is set aside."""
    return [
        entry
        for entry in sorted(folder.iterdir())
        if entry.name not in (*KEPT, EARLIER) and not entry.name.startswith(".")
    ]


def set_aside(folder: Path, recipe: Recipe) -> Path | None:
    """Move the run of fewer languages that a folder holds into a folder of its own; returns it, or None.

    Whenever it is stopped, the next call goes on: the recipe that tells of fewer languages is the last to go.

    Args:
        folder: Of the run, which nobody else writes to.
        recipe: The same with more target languages; if it is anything else, nothing is done.
    """
    place = earlier_place(folder, recipe)
    if place is None:
        return None
    for name in KEPT:
        write_atomically(place / name, partial(_copy, folder / name))
    for entry in _moved(folder):
        entry.rename(place / entry.name)
    return place


def _targets(values: Mapping[str, Any]) -> list[str]:
    return [str(code) for code in values["task"].get("target_languages") or []]


def _other_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that decide a trial's numbers, the target languages apart."""
    return {
        key: value
        for key, value in deciding_settings(values).items()
        if value is not None and key != TARGETS and not key.startswith(f"{TARGETS}.")
    }


def _is_grown(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether settings are the same, but for files that were added for a language."""
    added = now.keys() - before.keys()
    return all(now.get(key) == value for key, value in before.items()) and all(map(_names_a_file, added))


def _names_a_file(key: str) -> bool:
    return key.startswith("task.files.")


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
