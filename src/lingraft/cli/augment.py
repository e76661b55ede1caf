"""``augment``: the pseudo-data of a recipe, without a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.progress import Reporter
from .terminal import Overrides, Quiet, RecipePath, console


def augment(
    recipe: RecipePath,
    overrides: Overrides = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write, an example a line; read by pseudo.files.")
    ] = Path("pseudo.jsonl"),
    quiet: Quiet = False,
) -> None:
    """Make the pseudo-data of a recipe, as a run would; what was stopped continues."""
    from ..core.errors import problems_in
    from ..core.yaml_text import name_of
    from ..recipe.parsing import read_recipe

    settings = read_recipe(recipe, overrides or [])
    from ..runs.augment import augment as make

    with problems_in(name_of(recipe)):
        materials = make(settings, output, Reporter(quiet=quiet))
    for note in materials.notes:
        if "pseudo-data" in note:
            console.print(note)
    console.print(f"examples: {output}; what was made of what: {output.with_suffix('.json')}")
