"""``stability``: how much depends on the draw of the labels, on the seed and on the order."""

from __future__ import annotations

import shlex

from .tables import Column, print_table
from .terminal import DryRun, OnRay, Overrides, Quiet, RecipePath, console, say_lines, trained_on

DISPENSABLE = {"trials": 2, "best": 3, "middle": 2, "failed": 1, "ours better": 1}
"""How early a column is left out where there is no room; the others never."""


def stability(
    recipe: RecipePath,
    overrides: Overrides = None,
    dry_run: DryRun = False,
    ray: OnRay = False,
    quiet: Quiet = False,
) -> None:
    """Train each draw with each seed, and say what the spread comes from; `stability:` in the recipe says how many."""
    from ..core.errors import problems_in
    from ..core.yaml_text import name_of
    from ..recipe.parsing import read_recipe

    settings = read_recipe(recipe, overrides or [], block="stability")
    from ..experiments.dry_run import describe_costs
    from ..experiments.stability import PAGE, crossed, study_stability
    from ..results.comparison import read_comparison
    from ..results.experiment_tables import STABLE, stability_table
    from ..results.pages.stability_markdown import stability_finding
    from ..results.stability import read_stability

    with problems_in(name_of(recipe)):
        if dry_run:
            say_lines(describe_costs(crossed(settings)))
            return
        command = shlex.join(["lingraft", "stability", recipe.as_posix(), *(overrides or [])])
        folder = study_stability(settings, quiet=quiet, command=command, train=trained_on(ray))
    found = read_comparison(folder)
    for study in read_stability(found):
        columns = [
            Column(one.heading, DISPENSABLE.get(one.heading, 0), "left" if one.kind == "code" else "right")
            for one in STABLE
        ]
        print_table(f"k = {study.shots}", columns, stability_table(study, found.unit).texts)
        console.print(stability_finding(study, found).replace("`", ""))
    console.print(f"what the spread comes from: {folder / PAGE}")
