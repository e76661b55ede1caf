"""``compare``: many methods on one recipe's data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from .terminal import Overrides, Quiet, RecipePath, console, escape


def compare(
    recipe: RecipePath,
    overrides: Overrides = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the table as a Markdown page, scores beside it.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Compare methods on a recipe's data and draws, for as many epochs; `compare:` in the recipe says which."""
    from ..recipe.parsing import read_recipe

    settings = read_recipe(recipe, overrides or [])
    from ..experiments.compare import compare as compare_methods
    from ..results.comparison import blocks, read_comparison
    from ..results.pages.comparison_markdown import HEADINGS, finding, table_rows, write_comparison_page

    command = shlex.join(["lingraft", "compare", str(recipe), *(overrides or [])])
    folder = compare_methods(settings, quiet=quiet, command=command)
    found = read_comparison(folder)
    shown = [HEADINGS.index(heading) for heading in ("method", "mean", "difference", "p", "trained", "time")]
    for block in blocks(found):
        title = f"k = {block.shots}, {len(block.trials)} trial{'s' if len(block.trials) > 1 else ''} a method"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, collapse_padding=True)
        for i in shown:
            table.add_column(HEADINGS[i], justify="left" if i == 0 else "right", overflow="fold")
        for row in table_rows(block, found):
            table.add_row(*(escape(row[i]) for i in shown))
        console.print(table)
        console.print(escape(finding(block, found).replace("*", "").replace("`", "")), highlight=False)
    console.print(f"whole table: {folder / 'README.md'}", highlight=False)
    if markdown is not None:
        page = write_comparison_page(folder, markdown, command=command)
        console.print(str(page), highlight=False)
