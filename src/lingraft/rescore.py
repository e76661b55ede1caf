"""Score a trained run again: its task's test or development sets, in any language that has them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from .config import read_recipe
from .data.languages import canonical
from .errors import DataError
from .evaluate import score
from .progress import Reporter
from .records import Score
from .run_files import read_object
from .run_folder import Unit, units
from .serve import load
from .tasks import Task, tasks


def rescore(
    folder: Path, languages: Sequence[str] | None, split: str, *, quiet: bool = False
) -> list[tuple[str, Score]]:
    """Scores of the saved adaptation, each with the part that was used for its language.

    Raises:
        LingraftError: The folder is not a finished run, or a language has no such examples.
    """
    reporter = Reporter(quiet=quiet)
    adapted = load(folder)
    recipe = read_recipe(folder / "recipe.yaml")
    options = dict(recipe.task.options)
    if languages is not None:
        others = [code for code in map(canonical, languages) if code != adapted.identity.source_language]
        options["target_languages"] = others or options["target_languages"]
    task: Task = tasks.build(recipe.task.name, options)
    unit = _selected(folder, units(recipe))
    wanted = task.languages if languages is None else tuple(map(canonical, languages))
    scores = []
    for language in wanted:
        try:
            examples = task.examples(language, split)
        except DataError:
            if languages is not None:
                raise
            examples = []
        if not examples:
            if languages is None:
                continue
            raise DataError(f"{task.name} has no {split} examples in {language}")
        part = "language and task part" if language in adapted.identity.languages else "task part alone"
        reporter.say(f"{language}: {len(examples)} examples, {part}")
        texts = [e.text_a if e.text_b is None else (e.text_a, e.text_b) for e in examples]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the table says which part was used
            predicted = [prediction.value for prediction in adapted.predict(texts, language=language)]
        found = score(
            [str(example.label) for example in examples],
            predicted,
            task,
            [example.group for example in examples],
            method="lingraft",
            language=language,
            unit=unit,
            run=folder.name,
        )
        scores += [(part, one) for one in found]
    return scores


def _selected(folder: Path, done: Sequence[Unit]) -> Unit:
    name = read_object(folder / "summary.json").get("selected_unit")
    return next((unit for unit in done if unit.name == name), done[0])
