"""The data that a run was scored on, found again: also from another working directory, or after a move.

A recipe's relative paths begin in the directory that it was run in, which nothing notes. They are sought from the
present one, then from the run's folder and a little above it, as the folder of its checkpoint is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ..core.errors import DataError
from ..serving.trained_backbone import LEVELS
from ..tasks import tasks
from ..tasks.benchmarks.catalogue import TrainingSources
from ..tasks.benchmarks.files import HUB


def with_places(name: str, options: Mapping[str, Any], near: Path) -> dict[str, Any]:
    """Return the options of a recipe's task with the folders of its data where they are now.

    Args:
        name: Of the task.
        options: As the recipe has them.
        near: The folder of the run.

    Raises:
        DataError: A folder that the recipe names is at none of the places.
    """
    defaults, found = tasks.defaults(name), dict(options)
    if "data_dir" in defaults:
        usual = defaults["data_dir"] or Path("data") / name
        files = options.get("files")
        patterns = [files] if isinstance(files, str) else _patterns(files)
        place = find_data(Path(options.get("data_dir") or usual), near, patterns, named="data_dir" in options)
        found["data_dir"] = str(place)
    sources = [
        one.model_copy(update={"data_dir": find_data(one.data_dir or Path("data") / one.name, near, named=False)})
        for one in TypeAdapter(TrainingSources).validate_python(options.get("train_from") or [])
    ]
    return found | ({"train_from": sources} if sources else {})


def find_data(data_dir: Path, near: Path, patterns: Sequence[str] = (), *, named: bool = True) -> Path:
    """Return where a folder of data is: relative to the working directory, else to ``near`` or a little above.

    Args:
        data_dir: As a recipe has it.
        near: The folder of the run.
        patterns: Of files in it, with ``{language}``, one of which must be there; relative to it.
        named: Whether the recipe says so, rather than leaving it out.

    Raises:
        DataError: The recipe says so, and it is at none of these places.
    """
    data_dir = data_dir.expanduser()
    if data_dir.is_absolute() or str(data_dir) == HUB or _is_there(data_dir, patterns):
        return data_dir
    places = [near.resolve(), *near.resolve().parents][: LEVELS + 1]
    for place in places:
        if _is_there(place / data_dir, patterns):
            return place / data_dir
    if named and not data_dir.is_dir():
        raise DataError(
            f"the run's data_dir {data_dir} is no folder relative to {Path.cwd()}, nor to {places[0]} or the "
            f"{LEVELS} folders above; say where the data are now with --data-dir"
        )
    return data_dir


def _patterns(files: Any) -> list[str]:
    """Return the paths of files as a recipe names them, by split and perhaps by language."""
    found = list[str]()
    for one in files.values() if isinstance(files, Mapping) else ():
        found += _patterns(one) if isinstance(one, Mapping) else [str(one)]
    return found


def _is_there(folder: Path, patterns: Sequence[str]) -> bool:
    """Return whether a folder is there, with one of the files at least."""
    relative = [one for one in patterns if not Path(one).is_absolute()]
    some = not relative or any(next(folder.glob(escape(one).replace("{language}", "*")), None) for one in relative)
    return folder.is_dir() and some
