"""``stability``: how much depends on the draw of the labels, on the seed and on the order."""

from __future__ import annotations

import shlex

from .tables import Column, print_table
from .terminal import DryRun, Overrides, Quiet, RecipePath, console, say_lines


def stability(
    recipe: RecipePath,
    overrides: Overrides = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Train each draw with each seed, and say what the spread comes from; `stability:` in the recipe says how many."""
    from ..core.errors import problems_in
    from ..core.yaml_text import name_of
    from ..recipe.parsing import read_recipe

    settings = read_recipe(recipe, overrides or [])
    from ..experiments.dry_run import describe_costs
    from ..experiments.stability import PAGE, crossed, study_stability
    from ..results.comparison import read_comparison
    from ..results.pages.stability_markdown import SHOWN, stability_finding, summary_rows
    from ..results.stability import read_stability

    with problems_in(name_of(recipe)):
        if dry_run:
            say_lines(describe_costs(crossed(settings)))
            return
        command = shlex.join(["lingraft", "stability", str(recipe), *(overrides or [])])
        folder = study_stability(settings, quiet=quiet, command=command)
    found = read_comparison(folder)
    for study in read_stability(found):
        columns = [Column(name, order, "left" if name == "method" else "right") for name, order in SHOWN.items()]
        rows = [[cell.replace("`", "") for cell in row] for row in summary_rows(study)]
        print_table(f"k = {study.shots}", columns, rows)
        console.print(stability_finding(study, found).replace("`", ""))
    console.print(f"what the spread comes from: {folder / PAGE}")
