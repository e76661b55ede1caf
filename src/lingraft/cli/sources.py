"""``sources``: which language to transfer from."""

from __future__ import annotations

import shlex

from .tables import Column, print_table
from .terminal import DryRun, Overrides, Quiet, RecipePath, console, say_lines

KEPT = ("source", "mean rank")
"""Columns that every terminal shows."""


def sources(recipe: RecipePath, overrides: Overrides = None, dry_run: DryRun = False, quiet: Quiet = False) -> None:
    """Rank the languages to transfer from, before anything is trained; `source_choice:` says which there are."""
    from ..core.errors import problems_in
    from ..core.yaml_text import name_of
    from ..recipe.parsing import read_recipe

    settings = read_recipe(recipe, overrides or [], block="source_choice")
    from ..experiments.source_choice import PAGE, choose_sources, describe_cost
    from ..results.pages.source_choice_markdown import findings, recipe_lines
    from ..results.source_choice import MEAN_RANK
    from ..results.source_choice_tables import describe_correlation, ranking_table

    command = shlex.join(["lingraft", "sources", recipe.as_posix(), *(overrides or [])])
    with problems_in(name_of(recipe)):
        if dry_run:
            say_lines(describe_cost(settings))
            return
        found = choose_sources(settings, quiet=quiet, command=command)
    for ranking in found.rankings:
        table = ranking_table(ranking, found)
        names = [column.heading for column in table.columns]
        kept = {*KEPT, *ranking.ranked_by}
        columns = [
            Column(name, 0 if name in kept else 1 + place, "left" if name == "source" else "right")
            for place, name in enumerate(reversed(names))
        ][::-1]
        print_table(f"to {ranking.name}", columns, table.texts)
        say_lines(sentence.replace("\\", "").replace("`", "") for sentence in findings(ranking, found))
        told = [name for name in (*ranking.ranked_by, MEAN_RANK) if name in ranking.correlations]
        if told:
            said = ", ".join(f"{name} {describe_correlation(ranking.correlations[name])}" for name in told)
            say_lines([f"rank correlation with the true score, of {len(ranking.candidates)} candidates: {said}"])
    say_lines(line for line in recipe_lines(found) if line and not line.startswith("```"))
    console.print(f"all measures, and how right they were: {settings.output_dir / PAGE}")
