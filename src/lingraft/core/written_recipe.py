"""The recipe that a run wrote into its folder, which whoever uses the folder reads: whole, or not at all.

A recipe that was cut off is often a recipe still, of fewer settings, and would be used without a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import ConfigError, RunError
from .outside import read_bytes
from .yaml_text import MAX_CHARACTERS, load_yaml

NAME = "recipe.yaml"

BEGINS = "%YAML 1.2"
"""What lingraft writes first; people who write a recipe by hand do not."""

LAST_KEY = "compare"
"""What it writes last, whether or not there is something to compare."""

CURE = "put it back from a copy, or run the recipe into another output_dir"
"""What to do about what says what a folder is, and is damaged; nothing makes that again."""


def run_again(path: Path) -> str:
    """Say how a file that a run or a comparison left in its folder is made again.

    Args:
        path: The file, in the folder or below it.
    """
    places = [place for place in path.parents[:4] if place != Path()]
    if any((place / name).exists() for place in places for name in ("comparison.json", "method.json")):
        return "run the comparison again: lingraft compare RECIPE"
    own = next((place for place in places if all((place / name).is_file() for name in (NAME, "run.json"))), None)
    return f"run the recipe again: lingraft run {'RECIPE' if own is None else own / NAME}"


def read_written_recipe(folder: Path) -> dict[str, Any]:
    """Return the recipe of a run folder as plain data, as it was written; empty where there is none.

    Raises:
        RunError: It cannot be read, or lacks its end.
    """
    path = folder / NAME
    try:
        text = read_bytes(path, most=4 * MAX_CHARACTERS, cure=CURE).decode("utf-8-sig")
        written = load_yaml(text, str(path))
        if not isinstance(written, dict):
            raise ConfigError([f"expected keys and values, got {type(written).__name__}"])
    except FileNotFoundError:
        return {}
    except ConfigError as error:
        raise RunError(f"{path} cannot be read ({error.problems[0]}); {CURE}") from None
    except UnicodeDecodeError as error:
        raise RunError(f"{path} cannot be read (it is not UTF-8, byte {error.start}); {CURE}") from None
    if text.startswith(BEGINS) and not (LAST_KEY in written and text.endswith("\n")):
        raise RunError(f"{path} ends amid the recipe, after {len(text):,} characters; {CURE}")
    return written


def read_notes(folder: Path) -> tuple[str, ...]:
    """Return the remarks of the recipe of a run folder, in Markdown; none where it has none.

    Raises:
        RunError: The recipe cannot be read, or they are no texts.
    """
    found = read_written_recipe(folder).get("notes", [])
    notes = [found] if isinstance(found, str) else found  # as people may write it
    if not (isinstance(notes, list) and all(isinstance(note, str) for note in notes)):
        raise RunError(f"{folder / NAME}: notes: expected a list of texts; {CURE}")
    return tuple(notes)
