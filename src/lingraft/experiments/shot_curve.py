"""What labels are worth, with and without translations: ``lingraft shots``.

A curve is a comparison whose trials have more and more labels, the same ones for all methods; ours have fewer
translations besides, as variants. It lies in the folder of a comparison, continues like one, and adds a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import ConfigError, DataError
from ..core.files import write_text
from ..core.shots import name_with_pairs
from ..recipe.comparison import CompareSettings, with_variants
from ..recipe.settings import Recipe
from ..recipe.shot_curve import METHODS, SHOTS, WITH_PAIRS, ShotCurveSettings
from ..results.comparison import Block, Comparison
from ..results.pages.experiment_page import write_report
from ..results.pages.experiment_report import shot_curve_report
from ..results.pages.shot_curve_markdown import shot_curve_page
from ..results.shot_curve import read_shot_curve
from ..runs.checks import gather_checked
from .compare import Train, compare
from .processes import Start, start_worker

PAGE = "shots.md"


def draw_shot_curve(
    recipe: Recipe,
    *,
    quiet: bool = False,
    command: str | None = None,
    start: Start = start_worker,
    train: Train | None = None,
) -> Path:
    """Run all trials of a curve, or continue where it stopped; returns the folder.

    Args:
        recipe: Whose ``shot_curve`` block says what is tried, and ``compare`` which methods are compared.
        quiet: Say nothing but warnings.
        command: What was typed, for the pages.
        start: Starts a process that runs one method.
        train: Trains the trials elsewhere.

    Raises:
        LingraftError: With one clear message; what was finished stays finished.
    """

    def tell(found: Sequence[Block], comparison: Comparison) -> None:
        curve = read_shot_curve(comparison)
        write_text(comparison.folder / PAGE, shot_curve_page(curve, comparison, command=command))
        write_report(shot_curve_report(curve, found, comparison), comparison.folder, command=command)

    return compare(with_shots(recipe), quiet=quiet, command=command, start=start, train=train, tell=tell)


def with_shots(recipe: Recipe) -> Recipe:
    """Return the comparison that a curve is: all numbers of labels, and ours with fewer translations as variants.

    Raises:
        ConfigError: The recipe compares a variant of the same name, or names more translations than there are.
        DataError: There are no labels to draw.
    """
    asked = recipe.shot_curve or ShotCurveSettings()
    compared = recipe.compare or CompareSettings.model_validate({"methods": METHODS})
    fewer = _with_fewer_pairs(recipe, compared, _pairs_below_all(recipe, asked))
    if own := [name for name, keys in compared.variants.items() if _sets_labels(keys)]:
        raise ConfigError(
            [f"compare.variants.{own[0]}: sets shots.k, which shot_curve.k says for all methods; leave it out"]
        )
    drawn = recipe.model_copy(
        update={
            "shots": recipe.shots.model_copy(update={"k": asked.k or [0], "draws": asked.draws}),
            "compare": with_variants(compared, fewer, "shot_curve.pairs"),
            "shot_curve": None,
        }
    )
    return drawn if asked.k else _as_many_as_there_are(drawn)


def _sets_labels(keys: Mapping[str, Any]) -> bool:
    shots = keys.get("shots")
    return shots is not None and not (isinstance(shots, Mapping) and "k" not in shots)


def _pairs_below_all(recipe: Recipe, asked: ShotCurveSettings) -> list[int]:
    """Return the numbers of translations that are tried besides all that there are.

    Raises:
        ConfigError: The recipe names as many as there are, or more; of the usual numbers such are left out.
    """
    wanted = [pairs for pairs in asked.pairs if pairs != "all"]
    if recipe.parallel is None or not any(wanted):
        return wanted if recipe.parallel is not None else []
    none = recipe.shots.model_copy(update={"k": 0, "draws": 1})
    materials = gather_checked(recipe.model_copy(update={"shots": none, "pseudo": None}))
    there = max((len(pairs) for draw in materials.draws for pairs in draw.pairs.values()), default=0)
    more = [pairs for pairs in wanted if pairs >= there]
    if more and asked.pairs != ShotCurveSettings().pairs:
        raise ConfigError(
            [f"shot_curve.pairs: {more[0]:,} is not fewer than all {there:,} translations; leave it out, or write all"]
        )
    return [pairs for pairs in wanted if pairs < there]


def _with_fewer_pairs(recipe: Recipe, compared: CompareSettings, numbers: list[int]) -> dict[str, dict[str, object]]:
    """Return variants of the compared methods that learn from translations, for each number of them."""
    methods = [name for name in WITH_PAIRS if name in compared.names and name not in compared.variants]
    return {
        name_with_pairs(name, pairs): {"method": name, "train": {"max_pairs": pairs}}
        for name in methods
        for pairs in numbers
    }


def _as_many_as_there_are(recipe: Recipe) -> Recipe:
    """Return the recipe with the usual numbers of labels, up to what every class has in every draw.

    Raises:
        DataError: Not even one.
    """
    first = 1 if recipe.task.options.get("target_languages") == [] else 0  # there labels are all that is learnt from
    for count in range(len(SHOTS), first + 1, -1):
        shots = recipe.shots.model_copy(update={"k": SHOTS[first:count]})
        try:
            gather_checked(recipe.model_copy(update={"shots": shots, "pseudo": None}))
        except DataError as error:
            if count == first + 2:
                raise DataError(
                    f"a curve over labels draws them from labelled examples of the target: {error}"
                ) from None
            continue
        return recipe.model_copy(update={"shots": shots})
    raise AssertionError  # the last attempt returned or raised
