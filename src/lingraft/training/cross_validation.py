"""Score the labels of languages without a test set: fold by fold, each predicted by a model that did not learn from it.

The predictions of all folds together are those of the trial, as if there had been a test set; the model that is
saved has learnt from all labels. Each fold that is done is kept until the trial is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.errors import RunError
from ..core.files import read_object, write_json, write_lines
from ..core.progress import Reporter
from ..core.records import Score, Trial
from ..model.network import Network
from ..tasks.folds import labelled_of, without_fold, without_texts
from ..tasks.material import Draw, Fold
from ..tasks.scores import score_by_language
from .evaluation import AFTER, COLUMNS, predict_examples, prediction_rows
from .frozen_head import Answer, Before
from .legs import as_trained
from .pools import Context, draw_of


@dataclass(frozen=True)
class Learnt:
    """What a training leaves."""

    model: Network
    head: Before | None
    """The frozen head that it began with."""
    befores: Mapping[str, Answer]
    """What it is compared with, by name."""
    at_first: Sequence[str] | None
    """What the development set was answered before training; None where that began at random."""
    languages: tuple[str, ...]
    """Target languages that something was learnt of."""
    history: list[dict[str, Any]]
    """A row for each epoch."""
    seconds: float
    trained: int
    """Parameters that learnt, also those of which less is kept."""


Learn = Callable[[Context, Path], Learnt]
"""Learns the draw of a trial in a context; where the training stands is kept in the folder meanwhile."""


def cross_validate(
    trial: Trial, folder: Path, context: Context, learn: Learn, reporter: Reporter, name: str = AFTER
) -> tuple[list[Score], float]:
    """Learn and predict each fold of a trial, write the predictions, and score them.

    Args:
        trial: Shots, draw and seed.
        folder: Of the run.
        context: What all trials share.
        learn: What learns.
        reporter: What reports how it goes.
        name: What the scores after training are called.

    Returns:
        The scores, and the seconds that the folds took; none where the trial has no folds.
    """
    draw, task = draw_of(trial, context), context.materials.task
    place, done = folder / "trials" / trial.name / "folds", list[Mapping[str, Any]]()
    for number, fold in enumerate(draw.folds):
        kept = _read_fold(place / f"{number}.json")
        if not kept:
            reporter.say(f"{trial.name}: cross-validation, fold {number + 1} of {len(draw.folds)}")
            learnt = learn(_held_out(context, draw, fold), place / str(number))
            kept = {"seconds": learnt.seconds, "rows": _predict_fold(learnt, context, fold)}
            _write_fold(place / f"{number}.json", kept)
            shutil.rmtree(place / str(number), ignore_errors=True)
        done.append(kept)
    scores = list[Score]()
    for language in draw.folds[0] if draw.folds else ():
        rows = {row["id"]: row | {"fold": n} for n, kept in enumerate(done) for row in kept["rows"][language]}
        examples = [e for e in labelled_of(draw, language, task.source_language) if e.id in rows]
        write_lines(folder / "predictions" / trial.name / f"{language}.jsonl", [rows[e.id] for e in examples])
        for method, column in (*COLUMNS.items(), (name, "value")):
            if all(column in row for row in rows.values()):
                predicted = [rows[example.id][column] for example in examples]
                where: dict[str, Any] = {"language": language, "trial": trial, "run": folder.name}
                scores += score_by_language(examples, predicted, task, method=method, **where)
    return scores, sum(kept["seconds"] for kept in done)


def _held_out(context: Context, draw: Draw, fold: Fold) -> Context:
    """Return a context in which a fold is the test set of its languages, and nothing is learnt from it."""
    materials, pools = context.materials, dict(context.pools)
    for language in fold:
        pools[language, "test"] = pools[language, "learn"]
    draws = tuple(without_fold(one, fold, materials.task) if one is draw else one for one in materials.draws)
    tests = dict.fromkeys(materials.test, ()) | dict(fold)
    unpaired = without_texts(materials.unpaired, fold)
    return replace(context, materials=replace(materials, draws=draws, test=tests, unpaired=unpaired), pools=pools)


def _predict_fold(learnt: Learnt, context: Context, fold: Fold) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of predictions of a fold's examples, by language."""
    task, pools, found = context.materials.task, as_trained(context).pools, {}
    for language, examples in fold.items():
        encoded = pools[language, "learn"]
        after, before, _ = predict_examples(learnt.model, learnt.befores, encoded, examples, language, task)
        found[language] = prediction_rows(examples, after, before, task)
    return found


def _write_fold(path: Path, content: Mapping[str, Any]) -> None:
    write_json(path, {**content, "digest": _digest(content)})


def _read_fold(path: Path) -> dict[str, Any]:
    """Return what a fold left; nothing where it is not done, or the file is damaged."""
    try:
        found = read_object(path)
    except RunError:
        return {}
    digest = found.pop("digest", None)
    return found if found and digest == _digest(found) else {}


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
