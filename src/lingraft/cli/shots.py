"""``shots``: what labels are worth, with and without translations."""

from __future__ import annotations

import shlex

from .tables import Column, print_table
from .terminal import DryRun, OnRay, Overrides, Quiet, RecipePath, console, say_lines, trained_on


def shots(
    recipe: RecipePath,
    overrides: Overrides = None,
    dry_run: DryRun = False,
    ray: OnRay = False,
    quiet: Quiet = False,
) -> None:
    """Train with more and more labels, and say what they and the translations are worth; `shot_curve:` says which."""
    from ..core.errors import problems_in
    from ..core.yaml_text import name_of
    from ..recipe.parsing import read_recipe

    settings = read_recipe(recipe, overrides or [], block="shot_curve")
    from ..experiments.dry_run import describe_costs
    from ..experiments.shot_curve import PAGE, draw_shot_curve, with_shots
    from ..results.comparison import read_comparison
    from ..results.pages.shot_curve_markdown import findings
    from ..results.shot_curve import read_shot_curve
    from ..results.words import words_of

    command = shlex.join(["lingraft", "shots", recipe.as_posix(), *(overrides or [])])
    with problems_in(name_of(recipe)):
        if dry_run:
            say_lines(describe_costs(with_shots(settings)))
            return
        folder = draw_shot_curve(settings, quiet=quiet, command=command, train=trained_on(ray))
    comparison = read_comparison(folder)
    found = read_shot_curve(comparison)
    columns = [Column("method", 0, "left"), *(Column(str(count)) for count in found.shots)]
    rows = [
        [curve.name, *(comparison.unit.number(one.value, 1) for one in curve.points.values())] for curve in found.curves
    ]
    print_table(f"by {words_of(comparison.about['data']).shots_title.lower()}", columns, rows)
    for line in findings(found, comparison):
        console.print(line.replace("`", ""))
    console.print(f"with intervals: {folder / PAGE}")
