"""What a comparison would run, and what that costs, before anything is computed: ``--dry-run``."""

from __future__ import annotations

from ..recipe.settings import Recipe
from .cost import describe_each, describe_total, estimates
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
    return [*left, *describe_each(planned), describe_total(planned)]
