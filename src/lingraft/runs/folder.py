"""A run folder that is never half written, never written by two, and never finished twice.

Small files are written to a temporary name and renamed. Each finished trial keeps a folder of its own, so a
run that was killed continues where it stopped, and a folder grows when its recipe asks for more seeds,
draws or shots. A folder that goes away while its run works, or becomes another's, gets nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, count, product
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from ..core.errors import RunError, shown
from ..core.files import TEMPORARY, is_leftover, locked_or_refused, write_json, write_text
from ..core.outside import refuse_links
from ..core.records import Trial
from ..core.version import __version__
from ..core.written_recipe import NAME as RECIPE
from ..core.written_recipe import read_written_recipe
from ..recipe.settings import Recipe
from ..results import schemas
from ..results.finished_run import is_as_left
from ..results.pages import LAST
from ..results.run_files import MARK, read_mark
from ..training.finished import is_finished
from .growth import earlier_place
from .held_folder import held_folder
from .identity import MEANING, deciding_settings, has_begun

LOCK = ".lock"
"""The file that whoever writes there holds."""

DUST = (".DS_Store", ".gitignore", ".gitkeep")
"""What people and their systems put into folders that are empty to them."""


def trials_of(recipe: Recipe) -> list[Trial]:
    """Return all trials of a recipe, in order."""
    orders: Sequence[int | None] = recipe.orders or [None]
    return [Trial(*one) for one in product(recipe.shots.ks, range(recipe.shots.draws), recipe.seeds, orders)]


def is_whole(folder: Path, recipe: Recipe) -> bool:
    """Return whether the run of a recipe has come to its end, and all that it left is as it was."""
    written = (folder / LAST).exists()  # last, after the check of what was saved
    return written and all(is_finished(folder, trial) for trial in trials_of(recipe)) and is_as_left(folder)


@contextmanager
def open_run_folder(
    folder: Path, recipe: Recipe, make_room: Callable[[Path, Recipe], object] = lambda folder, recipe: None
) -> Iterator[Path]:
    """Hold ``folder`` for one run of ``recipe``.

    Args:
        folder: The run folder; made where there is none.
        recipe: What is to be run.
        make_room: Called once the folder is held, before what is in it is compared with the recipe.

    Raises:
        RunError: Another process writes there, or it holds something else, another recipe's run, or one that was
            trained with another meaning. Or, when something is written there: it is gone.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the run folder {folder}: {error.strerror}; choose another output_dir") from None
    _refuse_foreign(folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked_or_refused(folder / LOCK))
        except BlockingIOError:
            raise RunError(
                f"{folder} is in use by another run; wait until it is done, or choose another output_dir"
            ) from None
        except OSError as error:
            raise RunError(f"cannot write to {folder}: {error.strerror}; choose another output_dir") from None
        _refuse_foreign(folder)  # again: another process may have filled it meanwhile
        make_room(folder, recipe)
        _refuse_other_recipe(folder, recipe)
        _claim(folder, recipe)
        _sweep(folder)
        proofs, kept = (folder / MARK, folder / LOCK), (folder / RECIPE,)
        stack.enter_context(held_folder(folder, proofs=proofs, kept=kept, last=folder / LAST))
        yield folder


def is_run(folder: Path) -> bool:
    """Return whether a folder is proven to be a run's, a comparison's or a method's."""
    return bool(read_mark(folder))


def _refuse_foreign(folder: Path) -> None:
    """Leave a folder alone that is neither empty nor a run's, hidden files of others (a `.git`) among what it has.

    Raises:
        RunError: It has files, and none that marks it as a run's; or its mark is of another meaning.
    """
    if mark := read_mark(folder):
        if mark["meaning"] != MEANING:
            age = "an older" if mark["meaning"] < MEANING else "a newer"
            raise RunError(
                f"{folder} was trained by {age} lingraft, which gives other numbers for the same recipe, so the two do "
                f"not mix; {_give_another(folder)}, or delete that folder"
            )
        refuse_links(folder)
        return
    if (folder / RECIPE).is_file() and (folder / "trials").is_dir():
        raise RunError(
            f"{folder} has trials and a {RECIPE}, but no {MARK}, without which nothing says that they may be "
            f"continued; put that file back (that of another run by the same version of lingraft will do), or "
            f"{_give_another(folder)}"
        )
    if foreign := sorted(entry.name for entry in folder.iterdir() if not _may_be_there(entry)):
        raise RunError(
            f"{folder} is not empty and not a run folder (it has {', '.join(foreign[:3])}); {_give_another(folder)}"
        )


def _may_be_there(entry: Path) -> bool:
    """Return whether an entry may be in a folder that becomes a run's: a lock, what a kill left of a mark, or dust."""
    marks = is_leftover(entry) and entry.name.startswith(f"{TEMPORARY}{Path(MARK).stem}-")
    return marks or entry.name in (LOCK, *DUST)


def _refuse_other_recipe(folder: Path, recipe: Recipe) -> None:
    """Refuse a folder whose trials come from other settings.

    Raises:
        RunError: They do.
    """
    if problem := _describe_other_recipe(folder, recipe):
        raise RunError(problem)


def _describe_other_recipe(folder: Path, recipe: Recipe) -> str:
    """Say in what a recipe is not that of a folder's trials, and where it may run; nothing where none has begun."""
    if not (changed := changed_settings(folder, recipe)):
        return ""
    more = f" ({len(changed) - 1} more differ{'s' if len(changed) == 2 else ''})" if len(changed) > 1 else ""
    return f"{folder} holds a run of another recipe: {changed[0]}{more}; {_give_another(folder)}, or delete that folder"


def _give_another(folder: Path) -> str:
    """Say which folder is free, beside one that is not."""
    if not folder.name.strip("."):  # the working folder, one above it, or the root
        return "give this one another folder with output_dir=…"
    free = next(place for n in count(2) if not (place := folder.with_name(f"{folder.name}-{n}")).exists())
    return f"give this one another folder: output_dir={free}"


def _claim(folder: Path, recipe: Recipe) -> None:
    """Mark the folder as a run's and write the recipe; with other trials than before, it is not finished any more."""
    if not is_run(folder):
        write_json(folder / MARK, {"format": schemas.FORMAT, "lingraft": __version__, "meaning": MEANING})
    path, text = folder / RECIPE, recipe.to_yaml()
    if not path.exists():
        write_text(path, text)
    elif path.read_text(encoding="utf-8") != text:
        if _trials(read_written_recipe(folder)) != _trials(recipe.model_dump(mode="json", by_alias=True)):
            (folder / LAST).unlink(missing_ok=True)  # which marks a run as finished
        write_text(path, text)


def _trials(values: Any) -> tuple[Any, ...]:
    """Return the settings that say which trials there are."""
    return values.get("seeds"), values.get("orders"), values.get("shots")


def _sweep(folder: Path) -> None:
    """Remove the temporary files of a run that was killed while it wrote them; of a run's own folder only."""
    for path in folder.rglob(".*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts[:-1])  # of another program
        if is_leftover(path) and path.is_file() and not hidden:
            path.unlink(missing_ok=True)


def folder_problems(folder: Path, recipe: Recipe | None) -> list[str]:
    """Say why a recipe could not run in ``folder``: it is tried to be made and written to, and left as it was.

    Args:
        folder: The run folder.
        recipe: What its trials must have been made by; None where that is not known yet.
    """
    made: list[Path] = []
    try:
        for place in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
            place.mkdir()
            made.append(place)
        with TemporaryFile(dir=folder):
            pass
        if folder not in made:
            _refuse_foreign(folder)
        other = ""
        if recipe is not None and not earlier_place(folder, recipe):
            other = _describe_other_recipe(folder, recipe)
    except OSError as error:
        return [f"cannot write to {folder}: {error.strerror}; choose another output_dir"]
    except RunError as error:
        return [str(error)]
    finally:
        for place in reversed(made):
            with suppress(OSError):  # meanwhile another process has put something there
                place.rmdir()
    return [other] if other else []


def changed_settings(folder: Path, recipe: Recipe) -> list[str]:
    """Say in what ``recipe`` would train something else than a folder's trials; empty where none has begun.

    Raises:
        RunError: The folder's recipe cannot be read.
    """
    begun = any(map(has_begun, chain(folder.glob("trials/*"), folder.glob("*/trials/*"))))  # its own, or its methods'
    if not begun or not (folder / RECIPE).exists():
        return []
    theirs, ours = read_written_recipe(folder), recipe.model_dump(mode="json", by_alias=True)
    before, now = deciding_settings(theirs), deciding_settings(ours)
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    return list(dict.fromkeys(_describe_change(key, theirs, ours) for key in changed))


def _describe_change(key: str, theirs: Any, ours: Any) -> str:
    """Say what a setting is in two recipes, or the block or the list that it is in, where only one of them has that."""
    path = list[str]()
    for part in key.split("."):
        if not _are_alike(theirs, ours):
            break
        path.append(part)
        theirs, ours = _within(theirs, part), _within(ours, part)
    return f"{'.'.join(path)} is {_as_written(theirs)} there and {_as_written(ours)} now"


def _are_alike(one: Any, other: Any) -> bool:
    """Return whether two values have keys, or as many items."""
    lists = isinstance(one, list) and isinstance(other, list)
    return len(one) == len(other) if lists else isinstance(one, Mapping) and isinstance(other, Mapping)


def _within(value: Any, part: str) -> Any:
    return value[int(part)] if isinstance(value, list) else value.get(part)


def _as_written(value: Any) -> str:
    return "not set" if value is None else shown(value)
