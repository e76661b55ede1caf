"""A run folder that is never half written, never written by two, and never finished twice.

Small files are written to a temporary name and renamed. A finished training of one (shots, draw,
seed) keeps its own folder, so that a run that was killed continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from ..core.errors import ConfigError, RunError
from ..core.files import TEMPORARY, locked_or_refused, write_text
from ..core.records import Unit
from ..recipe.parsing import NOT_YAML, resolved
from ..recipe.settings import Recipe


def units(recipe: Recipe) -> list[Unit]:
    """All trainings of a recipe, in order."""
    return [Unit(k, draw, seed) for k in recipe.shots.ks for draw in range(recipe.shots.draws) for seed in recipe.seeds]


@contextmanager
def opened(folder: Path, recipe: Recipe) -> Iterator[Path]:
    """Hold ``folder`` for one run of ``recipe``.

    Raises:
        RunError: Another process writes there, or it holds another recipe's run.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the run folder {folder}: {error.strerror}; choose another output_dir") from None
    _refuse_foreign(folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked_or_refused(folder / ".lock"))
        except BlockingIOError:
            raise RunError(
                f"{folder} is in use by another run; wait until it is done, or choose another output_dir"
            ) from None
        except OSError as error:
            raise RunError(f"cannot write to {folder}: {error.strerror}; choose another output_dir") from None
        _refuse_foreign(folder)  # again: another process may have filled it meanwhile
        _same_recipe(folder, recipe)
        _sweep(folder)
        yield folder


def _refuse_foreign(folder: Path) -> None:
    """Leave a folder alone that is neither empty nor a run's.

    Raises:
        RunError: It has files, and no recipe among them.
    """
    if (folder / "recipe.yaml").exists():
        return
    if foreign := sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".")):
        raise RunError(
            f"{folder} is not empty and not a run folder (it has {', '.join(foreign[:3])}); choose another output_dir"
        )


def _sweep(folder: Path) -> None:
    """Remove the temporary files of a run that was killed while it wrote them; of a run's own folder only."""
    for path in folder.rglob(f"{TEMPORARY}*"):
        if path.is_file():
            path.unlink(missing_ok=True)


def _same_recipe(folder: Path, recipe: Recipe) -> None:
    """Write the recipe, or make sure that the folder's is the same."""
    path, text = folder / "recipe.yaml", recipe.to_yaml()
    if not path.exists():
        write_text(path, text)
        return
    if changed := changed_settings(folder, recipe):
        raise RunError(
            f"{folder} holds a run of another recipe: {len(changed)} settings differ, e.g. {changed[0]}; "
            "choose another output_dir, or delete that folder"
        )


def changed_settings(folder: Path, recipe: Recipe) -> list[str]:
    """In what ``recipe`` differs from the one that a folder's run was begun with; empty where there is none.

    Raises:
        RunError: The folder's recipe cannot be read.
    """
    path = folder / "recipe.yaml"
    if not path.exists():
        return []
    try:
        written = YAML(typ="safe", pure=True).load(path)
    except NOT_YAML as error:
        problem = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"{path} cannot be read ({problem}); choose another output_dir, or delete that folder") from None
    with suppress(ValidationError, ConfigError):  # what it does not say was not there to be set: it has its default
        written = resolved(Recipe.model_validate(written)).model_dump(mode="json", by_alias=True)
    ours, theirs = _flat(recipe.model_dump(mode="json", by_alias=True)), _flat(written)
    # Where a run computes, and how much may be cached, is free to change between two parts of it.
    free = {"device", "output_dir", "cache.max_gigabytes"}
    changed = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key) and key not in free)
    return [f"{key} is {theirs.get(key)!r} there and {ours.get(key)!r} now" for key in changed]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = {str(i): item for i, item in enumerate(value)}.items()
    else:
        return {path: value}
    return {key: leaf for name, item in items for key, leaf in _flat(item, f"{path}.{name}" if path else name).items()}
