"""``tune``: settings chosen on the source language's development data."""

from __future__ import annotations

import shlex

from .tables import Column, print_table
from .terminal import DryRun, Overrides, Quiet, RecipePath, console, say_lines

MOST_ROWS = 10
"""Of the table on the terminal; the page has all."""


def tune(recipe: RecipePath, overrides: Overrides = None, dry_run: DryRun = False, quiet: Quiet = False) -> None:
    """Choose settings on the source language's development data; `tune:` in the recipe says which, and how long."""
    from ..core.errors import problems_in
    from ..core.yaml_text import name_of
    from ..recipe.parsing import read_recipe

    settings = read_recipe(recipe, overrides or [], block="tune")
    from ..experiments.tuning import TUNED, describe_search
    from ..experiments.tuning import tune as tune_recipe
    from ..results.pages.tuning_markdown import describe_values, findings
    from ..results.tuning import PAGE, read_tuning
    from ..results.tuning_tables import tuning_table

    with problems_in(name_of(recipe)):
        if dry_run:
            say_lines(describe_search(settings))
            return
        command = shlex.join(["lingraft", "tune", recipe.as_posix(), *(overrides or [])])
        folder = tune_recipe(settings, quiet=quiet, command=command)
    found = read_tuning(folder)
    table = tuning_table(found)
    names, every = [column.heading for column in table.columns], table.texts
    columns = [Column(name, 1, "right") for name in names]
    columns[:3] = [Column(names[0], 0, "left"), Column(names[1]), Column(names[2])]
    columns[3], columns[-1] = Column("p", 2), Column("time", 3)
    own = [row for row, one in zip(every, found.tried, strict=True) if one.own and row not in every[:MOST_ROWS]]
    print_table("", columns, [*every[:MOST_ROWS], *own])
    console.print(f"best: {describe_values(found.best.values)}", markup=False, highlight=False)
    for line in findings(found):
        console.print(line, markup=False, highlight=False)
    console.print(f"all trials: {folder / PAGE}; to run: lingraft run {folder / TUNED}")
