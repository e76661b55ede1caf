"""What a comparison would run, and what that costs, before anything is computed: ``--dry-run``."""

from __future__ import annotations

from ..recipe.settings import Recipe
from ..results.wording import plural
from .cost import describe_each, describe_total, doubts_of, estimates
from .methods import list_methods
from .possible import describe_left_out, settle_methods


def describe_costs(recipe: Recipe) -> list[str]:
    """Say for each method of a comparison how many trials it has and how long they take; nothing is trained.

    Args:
        recipe: The recipe of the comparison; of a study, what it makes of its recipe.

    Raises:
        LingraftError: The recipe, the data or the checkpoint does not allow it.
    """
    settled, left_out = settle_methods(recipe)
    planned = estimates(list_methods(settled), settled)
    left = [describe_left_out(left_out)] if left_out else []
    doubts = [f"warning: {doubt}" for doubt in doubts_of(planned)]
    return [*left, *doubts, describe_grid(recipe), *describe_each(planned), describe_total(planned)]


def describe_grid(recipe: Recipe) -> str:
    """Say what the trials of a comparison cross: ``k = 0, 8; 3 draws of the labels × 2 seeds``.

    Args:
        recipe: The recipe of the comparison; its variants may have others.
    """
    crossed = [f"{plural(recipe.shots.draws, 'draw')} of the labels", plural(len(recipe.seeds), "seed")]
    if recipe.orders:
        crossed.append(plural(len(recipe.orders), "order"))
    return f"trials: k = {', '.join(map(str, recipe.shots.ks))}; {' × '.join(crossed)}"
