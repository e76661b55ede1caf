"""How much depends on the draw of the labels, the seed and the order: ``lingraft stability``.

A study is a comparison whose trials cross draws, seeds and orders, each with each, so that the spread can be split by
what causes it. It lies in the folder of a comparison, continues like one, and adds a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import ConfigError
from ..core.files import write_text
from ..recipe.comparison import CompareSettings, with_variants
from ..recipe.settings import Recipe
from ..recipe.stability import METHODS, StabilitySettings
from ..results.comparison import Block, Comparison
from ..results.pages.experiment_page import write_report
from ..results.pages.experiment_report import stability_report
from ..results.pages.stability_markdown import stability_page
from ..results.stability import read_stability
from .compare import Train, compare
from .processes import Start, start_worker

PAGE = "stability.md"


def study_stability(
    recipe: Recipe,
    *,
    quiet: bool = False,
    command: str | None = None,
    start: Start = start_worker,
    train: Train | None = None,
) -> Path:
    """Run all trials of a stability study, or continue where it stopped; returns the folder.

    Args:
        recipe: Whose ``stability`` block says what is crossed, and ``compare`` which methods are studied.
        quiet: Say nothing but warnings.
        command: What was typed, for the pages.
        start: Starts a process that runs one method.
        train: Trains the trials elsewhere.

    Raises:
        LingraftError: With one clear message; what was finished stays finished.
    """

    def tell(found: Sequence[Block], comparison: Comparison) -> None:
        studies = read_stability(comparison)
        write_text(comparison.folder / PAGE, stability_page(studies, comparison, command=command))
        write_report(stability_report(studies, found, comparison), comparison.folder, command=command)

    return compare(crossed(recipe), quiet=quiet, command=command, start=start, train=train, tell=tell)


def crossed(recipe: Recipe) -> Recipe:
    """Return the comparison that a study is: all draws, seeds and orders, and a variant for each varied setting.

    Raises:
        ConfigError: Nothing would vary, or the recipe compares a variant of the same name.
    """
    asked = recipe.stability or StabilitySettings()
    if asked.draws * asked.seeds * asked.orders == 1:
        raise ConfigError(
            ["stability: one draw, one seed and one order are a single trial; ask for two of one of them"]
        )
    compared = recipe.compare or CompareSettings.model_validate({"methods": METHODS})
    varied = asked.variants()
    return recipe.model_copy(
        update={
            "shots": recipe.shots.model_copy(update={"draws": asked.draws}),
            "seeds": list(range(1, asked.seeds + 1)),
            "orders": list(range(1, asked.orders + 1)) if asked.orders > 1 else None,
            "compare": with_variants(compared, varied, "stability.settings"),
            "stability": None,
        }
    )
