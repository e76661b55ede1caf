"""Pseudo-data by themselves: what a run of a recipe would make, in a file to look at, mend, and learn from."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ConfigError
from ..core.progress import Reporter
from ..pseudo.kept import refuse_others
from ..recipe.settings import Recipe
from ..tasks.material import Materials
from .preparation import gather_made


def augment(recipe: Recipe, path: Path, reporter: Reporter | None = None) -> Materials:
    """Make the pseudo-data of a recipe, or go on where that stopped: the bytes that a run of it would make.

    Args:
        recipe: The recipe.
        path: The file that gets them; what was made of what is written beside it, with the suffix ``.json``.
        reporter: What reports how it goes.

    Returns:
        What was gathered, with the pseudo-data.

    Raises:
        LingraftError: The recipe makes none, or ``path`` holds what was made of something else, or anything else.
    """
    if recipe.pseudo is None:
        raise ConfigError(
            [
                "pseudo: is missing, so nothing is made; add `pseudo: {generators: [{name: label-projection}]}`, or "
                "another of `lingraft list generators`"
            ]
        )
    if path.suffix != ".jsonl":
        raise ConfigError([f"expected a file that ends in .jsonl, got {path}"], where="--output")
    refuse_others(path)
    materials, _ = gather_made(recipe, path.parent, path.name, reporter or Reporter())
    return materials
