"""Which experiments a recipe has blocks for, and whether each could be done: what ``lingraft check`` looks at."""

from __future__ import annotations

from ..core.counted import counted
from ..recipe.settings import Recipe
from ..runs.folder import trials_of
from ..tasks.material import Materials
from .methods import list_methods
from .possible import check_comparison, settle_methods
from .shot_curve import with_shots
from .source_candidates import list_candidates
from .stability import crossed
from .tuning import plan_search

BLOCKS = {"stability": ("lingraft stability", crossed), "shot_curve": ("lingraft shots", with_shots)}
"""The command that reads a block, and the comparison that it makes of a recipe."""


def check_experiments(recipe: Recipe, materials: Materials | None) -> tuple[dict[str, str], list[str]]:
    """Refuse what could not be compared, studied, drawn or searched, before anything is computed.

    Args:
        recipe: The recipe.
        materials: What it learns from and is tested on, where that could be gathered.

    Returns:
        For each method that is left out why, and a line for each block: its command and how many trials it means.

    Raises:
        LingraftError: A method does not fit the recipe, or there is nothing to compare on.
    """
    left_out = check_comparison(recipe, materials) if recipe.compare is not None else {}
    lines = []
    for block, (command, made) in BLOCKS.items():
        if getattr(recipe, block) is None:
            continue
        study = made(recipe)
        left_out |= check_comparison(study, materials)
        methods = list_methods(settle_methods(study)[0])
        trials = sum(len(trials_of(method.recipe)) for method in methods)
        lines.append(
            f"{block}: {counted(trials, 'trial')} of {counted(len(methods), 'method')} ({command}; how long: --dry-run)"
        )
    if recipe.source_choice is not None:
        candidates = counted(len(list_candidates(recipe)), "candidate")
        lines.append(f"source_choice: {candidates} (lingraft sources; how long: --dry-run)")
    if recipe.tune is not None:
        search = plan_search(recipe)
        what = f"{counted(search.asked.trials, 'trial')} at most, of {counted(len(search.space), 'setting')}"
        lines.append(f"tune: {what} (lingraft tune; how long: --dry-run)")
    return left_out, lines
