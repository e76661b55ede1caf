"""Score a trial on the test sets before and after, and write its predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..backbones.encoding import Encoded
from ..core.examples import Example, as_json
from ..core.files import write_json, write_lines
from ..core.progress import Reporter
from ..core.records import Prediction, Score, Trial
from ..model.network import Network
from ..model.prediction import predict_rows, predictions_of
from ..tasks import Task
from ..tasks.material import is_labelled
from ..tasks.scores import score_by_language
from .frozen_head import Answer
from .loop import Validation
from .pools import Context, draw_of
from .source_change import answer_development_set

BEFORE, INSTANT, AFTER = "frozen-head", "instant", "lingraft"
COLUMNS = {BEFORE: "before", INSTANT: "instant"}
"""Columns of predictions that hold what is compared with."""

PROBED = 8  # texts per language whose logits a fresh process must give back


def evaluate_trial(
    trial: Trial,
    folder: Path,
    model: Network,
    befores: Mapping[str, Answer],
    context: Context,
    reporter: Reporter,
    name: str = AFTER,
) -> list[Score]:
    """Score the test sets before and after; write the predictions.

    Args:
        trial: Shots, draw and seed.
        folder: Of the run.
        model: After training.
        befores: What answered before it, by what its scores are called.
        context: What all trials share.
        reporter: What reports how it goes.
        name: What the scores after training are called.
    """
    materials, pools = context.materials, context.pools
    task, scores, probes = materials.task, list[Score](), {}
    for language in task.languages:
        examples = materials.test[language]
        if not examples:
            continue
        encoded = pools[language, "test"]
        count = sum(len(encoded.rows[example.id]) for example in examples)
        with reporter.task(f"scoring {trial.name}, {language}", count * (1 + len(befores))) as advance:
            after, before, logits = predict_examples(model, befores, encoded, examples, language, task, advance)
        probes[language] = _probe(examples, logits, encoded)
        if not is_labelled(examples):
            write_lines(folder / "trials" / trial.name / f"answers.{language}.jsonl", _answers(examples, after, task))
            continue
        lines = prediction_rows(examples, after, before, task)
        write_lines(folder / "predictions" / trial.name / f"{language}.jsonl", lines)
        for method, predictions in (*before.items(), (name, after)):
            scores += score_by_language(
                examples,
                [prediction.value for prediction in predictions],
                task,
                language=language,
                method=method,
                trial=trial,
                run=folder.name,
            )
    probes |= _probe_untested(trial, model, context)
    tolerance = context.recipe.rounding(context.backbone.stack.precision)
    write_json(folder / "trials" / trial.name / "probe.json", {"tolerance": tolerance, "languages": probes})
    return scores


def predict_examples(
    model: Network,
    befores: Mapping[str, Answer],
    encoded: Encoded,
    examples: Sequence[Example],
    language: str,
    task: Task,
    advance: Callable[[int], None] = lambda rows: None,
) -> tuple[list[Prediction], dict[str, list[Prediction]], list[Tensor]]:
    """Predict examples after and before training.

    Args:
        model: After training.
        befores: What answered before it, by what it is called.
        encoded: Where the states of the examples are.
        examples: ``N``, in order.
        language: Whose parts are used.
        task: Whose kind decodes.
        advance: Called with the number of rows that were just read.

    Returns:
        ``N`` predictions after, as many of each before, and the logits after, of all rows.
    """
    ids = [example.id for example in examples]
    logits = model.ensemble(examples, *predict_rows(model, encoded, ids, language, advance), language)
    after, before = predictions_of(logits, examples, encoded, task), {}
    for name, answer in befores.items():
        before[name] = predictions_of(answer(encoded, examples, language), examples, encoded, task)
        advance(sum(len(encoded.rows[i]) for i in ids))
    return after, before, logits


def _probe(examples: Sequence[Example], logits: Sequence[Tensor], encoded: Encoded) -> list[dict[str, Any]]:
    """Return the first examples with the logits of their rows."""
    return [
        {"example": as_json(example), "logits": [logits[row].tolist() for row in rows]}
        for example, rows in zip(examples[:PROBED], _rows_of(examples[:PROBED], encoded), strict=True)
    ]


def _probe_untested(trial: Trial, model: Network, context: Context) -> dict[str, list[dict[str, Any]]]:
    """Return logits of labelled examples of the languages without a test set, which are proven, too."""
    materials, found = context.materials, {}
    source, draw = materials.task.source_language, draw_of(trial, context)
    for language in materials.task.tested_languages:
        if materials.test[language]:
            continue
        own = language == source
        examples = list(materials.dev if own else draw.shots[language])[:PROBED]
        if examples:
            encoded = context.pools[language, "dev" if own else "learn"]
            read = predict_rows(model, encoded, [example.id for example in examples], language)
            found[language] = _probe(examples, model.ensemble(examples, *read, language), encoded)
    return found


def _answers(examples: Sequence[Example], predictions: Sequence[Prediction], task: Task) -> list[dict[str, Any]]:
    """Return the lines of a file of predictions for examples that nobody labelled."""
    return [
        {
            "id": example.id,
            "text": example.texts[0],
            **task.kind.columns(example),
            "value": prediction.value,
            "confidence": prediction.confidence,
        }
        for example, prediction in zip(examples, predictions, strict=True)
    ]


def _rows_of(examples: Sequence[Example], encoded: Encoded) -> list[list[int]]:
    """Return places of the examples' logits, the first examples of all being asked for in their order."""
    found, at = [], 0
    for example in examples:
        count = len(encoded.rows[example.id])
        found.append(list(range(at, at + count)))
        at += count
    return found


def prediction_rows(
    examples: Sequence[Example],
    after: Sequence[Prediction],
    befores: Mapping[str, Sequence[Prediction]],
    task: Task,
) -> list[dict[str, Any]]:
    """Return the lines of a file of predictions.

    Args:
        examples: ``N``, in order.
        after: Predictions of the adapted model.
        befores: Those of what it is compared with, by its name, see :data:`COLUMNS`.
        task: Whose kind has the metrics.
    """
    lines = []
    for i, (example, prediction) in enumerate(zip(examples, after, strict=True)):
        main = next(iter(task.kind.metrics_of(example).values()))
        line: dict[str, Any] = {
            "id": example.id,
            "group": example.group,
            "text": example.texts[0],
            "gold": example.gold,
            **task.kind.columns(example),
        }
        found = {COLUMNS[name]: predictions[i] for name, predictions in befores.items()}
        for column, one in found.items():
            line |= {column: one.value, f"{column}_confidence": one.confidence}
        line |= {"value": prediction.value, "confidence": prediction.confidence}
        for start, one in (("", prediction), *((f"{column}_", one) for column, one in found.items())):
            line[f"{start}counts"] = main.counts(example.gold, one.value)
            line[f"{start}right"] = main.right(example.gold, one.value)
        lines.append(line)
    return lines


def validation(model: Network, *, context: Context) -> Validation:
    """Validate the network on the source language's development set."""
    task, predicted = context.materials.task, answer_development_set(model, context)
    gold = [example.gold for example in context.materials.dev]
    main = next(iter(task.kind.metrics.values()))
    answers, right = ([one for value in side for one in task.kind.answers(value)] for side in (predicted, gold))
    return Validation(main(gold, predicted), Counter(answers), len(set(right)))
