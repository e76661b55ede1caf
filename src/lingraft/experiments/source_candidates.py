"""Which languages a recipe may choose from, and what it would learn from each."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import ConfigError, LingraftError, problems_of
from ..core.progress import Reporter
from ..data.languages import canonical, display_name
from ..recipe.settings import ParallelSettings, Recipe
from ..recipe.source_choice import SourceChoiceSettings
from ..runs.checks import gather_checked
from ..tasks import tasks
from ..tasks.material import Materials

SILENT = Reporter(quiet=True)


def gather_candidates(recipe: Recipe, reporter: Reporter = SILENT) -> tuple[dict[str, Materials], dict[str, str]]:
    """Gather what each candidate would be learnt from.

    Args:
        recipe: The recipe.
        reporter: What reports how it goes.

    Returns:
        Materials by language, and for each that cannot be learnt from the reason.

    Raises:
        ConfigError: There are no two to choose from, or nobody to transfer to.
    """
    gathered, left_out = dict[str, Materials](), dict[str, str]()
    codes = list_candidates(recipe)
    with reporter.task("reading", len(codes)) as advance:
        for code in codes:
            try:
                gathered[code] = gather_checked(with_sources(recipe, [code]))
            except LingraftError as error:
                left_out[code] = "; ".join(problems_of(error))
            advance(1, display_name(code))
    if len(gathered) < 2:
        reasons = [f"source_choice: {code} cannot be learnt from: {reason}" for code, reason in left_out.items()]
        raise ConfigError(
            [
                "source_choice: there are no two languages to choose from; name those that there are labels of, as "
                "`source_choice: {candidates: [eng-Latn, swh-Latn]}`",
                *reasons,
            ]
        )
    return gathered, left_out


def with_sources(recipe: Recipe, languages: Sequence[str]) -> Recipe:
    """Return the recipe with other source languages, the first one before further ones, and with nothing trained.

    Pairs are those of the task: parallel files are of the recipe's own source language. None is learnt from, so that
    no head sees the label of a shot on its translation.
    """
    first, *others = languages
    pairs = recipe.parallel.model_dump(include={"pairs", "labelled"}) if recipe.parallel else {}
    shots = recipe.shots.model_copy(update={"k": recipe.shots.ks[-1], "draws": 1, "folds": 0})
    return recipe.model_copy(
        update={
            "task": recipe.task.model_copy(update={"source_language": first}),
            "further_sources": others,
            "shots": shots,
            "parallel": ParallelSettings.model_validate({"from": "task", **pairs}) if has_pairs(recipe) else None,
            "pseudo": None,
            "consistency": None,
            "map": None,
            "alignment": [],
            "train": recipe.train.model_copy(update={"num_train_epochs": 0, "max_pairs": 0}),
        }
    )


def list_candidates(recipe: Recipe) -> list[str]:
    """Return canonical codes of the languages to choose from.

    Raises:
        ConfigError: One is a target, or is named twice; or there is no target.
    """
    task = tasks.build(recipe.task.name, recipe.task.options)
    if not task.target_languages:
        raise ConfigError(["task.target_languages: names nobody to transfer to; name the languages that lack labels"])
    asked = recipe.source_choice or SourceChoiceSettings()
    if asked.candidates is None:
        return [code for code in task.labelled_languages() if code not in task.target_languages]
    codes = [canonical(spelling) for spelling in asked.candidates]
    problems = [f"{code} is a target language" for code in codes if code in task.target_languages]
    problems += [f"{code} is named twice" for code in dict.fromkeys(codes) if codes.count(code) > 1]
    if problems:
        raise ConfigError([f"source_choice.candidates: {one}; leave it out" for one in problems])
    return codes


def has_pairs(recipe: Recipe) -> bool:
    """Return whether the task's own translations are learnt from, which there are between any two of its languages."""
    return recipe.parallel is not None and recipe.parallel.from_ == "task"


def is_bound(recipe: Recipe) -> bool:
    """Return whether the recipe names files that are of its own source language: translations or word lists."""
    given = recipe.parallel is not None and (recipe.parallel.files or recipe.parallel.lexicon)
    return bool(given or recipe.consistency or recipe.pseudo)
