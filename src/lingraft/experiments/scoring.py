"""The files of a trial whose method leaves nothing to load: predictions, scores, development answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.examples import Example
from ..core.files import write_lines
from ..core.records import Prediction, Trial
from ..tasks.scores import score_by_language
from ..training.evaluation import prediction_rows
from ..training.finished import note_finished
from ..training.pools import Context
from ..training.provenance import write_scores
from ..training.source_change import write_development

Answer = Callable[[str, str, Sequence[Example]], list[Prediction]]
"""Predictions for examples of a language and purpose (``dev`` or ``test``), in their order."""


def score_trial(
    trial: Trial, folder: Path, context: Context, name: str, answer: Answer, facts: Mapping[str, Any]
) -> None:
    """Predict the test sets and the development set, and score; files as after a training, ``trial.json`` last.

    Args:
        trial: Shots, draw and seed.
        folder: Of the method.
        context: What all trials share.
        name: Of the method.
        answer: What was learnt.
        facts: For ``trial.json``.
    """
    materials, task, scores = context.materials, context.materials.task, []
    for language in task.languages:
        examples = materials.test[language]
        if not examples:
            continue
        predicted = answer(language, "test", examples)
        write_lines(
            folder / "predictions" / trial.name / f"{language}.jsonl", prediction_rows(examples, predicted, {}, task)
        )
        where: dict[str, Any] = {"method": name, "language": language, "trial": trial, "run": folder.name}
        scores += score_by_language(examples, [prediction.value for prediction in predicted], task, **where)
    place, metric = folder / "trials" / trial.name, next(iter(task.kind.metrics.values()))
    write_scores(place, scores, context)
    answers = [one.value for one in answer(task.source_language, "dev", materials.dev)]
    write_development(place, materials.dev, answers, metric)
    dev_score = metric([example.gold for example in materials.dev], answers)
    note_finished(folder, trial, {"name": trial.name, "dev_score": dev_score, **facts})
