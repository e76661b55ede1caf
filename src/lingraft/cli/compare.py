"""``compare``: many methods on one recipe's data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from .tables import Column, print_table
from .terminal import DryRun, OnRay, Overrides, Quiet, RecipePath, console, say_lines, trained_on

SHOWN = {"method": 0, "mean": 0, "difference": 0, "p": 2, "trained": 3, "time": 1}
"""Headings of the table, and how early each is left out where there is no room."""


def compare(
    recipe: RecipePath,
    overrides: Overrides = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the table as a Markdown page, scores beside it.")
    ] = None,
    dry_run: DryRun = False,
    ray: OnRay = False,
    quiet: Quiet = False,
) -> None:
    """Compare methods on a recipe's data and draws, for as many epochs; `compare:` in the recipe says which."""
    from ..core.errors import problems_in
    from ..core.yaml_text import name_of
    from ..recipe.parsing import read_recipe

    settings = read_recipe(recipe, overrides or [], block="compare")
    from ..experiments.compare import compare as compare_methods
    from ..experiments.dry_run import describe_costs
    from ..results.comparison import blocks, read_comparison
    from ..results.experiment_tables import COMPARED, comparison_table
    from ..results.pages.comparison_markdown import finding, write_comparison_page

    command = shlex.join(["lingraft", "compare", recipe.as_posix(), *(overrides or [])])
    with problems_in(name_of(recipe)):
        if dry_run:
            say_lines(describe_costs(settings))
            return
        folder = compare_methods(settings, quiet=quiet, command=command, train=trained_on(ray))
    found = read_comparison(folder)
    headings = [column.heading for column in COMPARED]
    shown = {headings.index(heading): dispensable for heading, dispensable in SHOWN.items()}
    for block in blocks(found):
        title = f"k = {block.shots}, {len(block.trials)} trial{'s' if len(block.trials) > 1 else ''} a method"
        columns = [Column(headings[i], dispensable, "left" if i == 0 else "right") for i, dispensable in shown.items()]
        print_table(title, columns, [[row[i] for i in shown] for row in comparison_table(block, found).texts])
        console.print(finding(block, found).replace("*", "").replace("`", ""))
    console.print(f"whole table: {folder / 'README.md'}")
    if markdown is not None:
        page = write_comparison_page(folder, markdown, command=command)
        console.print(str(page))
