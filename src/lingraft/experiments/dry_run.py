"""What a comparison would run, and what that costs, before anything is computed: ``--dry-run``."""

from __future__ import annotations

from ..core.progress import roughly
from ..recipe.settings import Recipe
from ..results.wording import plural
from ..runs.folder import trials_of
from .cost import estimates
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
    lines, seconds = [describe_left_out(left_out)] if left_out else [], 0.0
    for estimate in estimates(list_methods(settled), settled):
        trials = len(trials_of(estimate.method.recipe))
        lines.append(f"{estimate.method.name}: {plural(trials, 'trial')}, about {roughly(estimate.seconds)}")
        seconds += estimate.seconds
    return [*lines, f"in all about {roughly(seconds)}, and the frozen states, where the cache does not have them"]
