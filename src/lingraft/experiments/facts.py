"""What a method leaves of itself beside its trials: ``method.json``, and the peak of its memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.examples import GOLD, Example
from ..core.files import read_lines, read_object, write_json
from ..results.method_schemas import MEMORY, TRIAL
from ..results.schemas import EPOCH, FORMAT
from ..runs.folder import trials_of
from ..tasks import Task
from ..tasks.material import Draw
from ..training.pools import Context, draw_of
from .methods import Method
from .peers import describe_versions


def method_facts(
    method: Method,
    folder: Path,
    context: Context,
    tried: Mapping[float, float | None],
    rate: float | None,
    tuning_epochs: int,
) -> dict[str, Any]:
    """Return the content of ``method.json``.

    Args:
        method: Whose trials are all finished.
        folder: Of the method.
        context: What its trials share.
        tried: Learning rates that were tried, with the source development score of each.
        rate: That which was used; None for the recipe's own.
        tuning_epochs: For which each was tried.
    """
    names = [trial.name for trial in trials_of(context.recipe)]
    done = {name: read_object(folder / "trials" / name / "trial.json", TRIAL) for name in names}
    return {
        "format": FORMAT,
        "name": method.name,
        "about": _about(method, context.materials.task),
        "trials": names,
        "chosen": method.chosen(tuning_epochs),
        "trainable_parameters": max(facts["trained"] for facts in done.values()),
        "seconds": {name: facts["seconds"] for name, facts in done.items()},
        "peak_bytes": read_object(folder / "memory.json", MEMORY).get("peak_bytes"),
        "learning_rate": {
            "setting": method.rate if _has_rate(context, method) else None,
            "value": rate if rate is not None else _setting(context, method),
            "tried": {f"{value:g}": accuracy for value, accuracy in tried.items()},
        },
        "steps": {name: _steps(folder / "trials" / name / "training.jsonl") for name in names},
        "labels": {trial.name: _labels_digest(draw_of(trial, context)) for trial in trials_of(context.recipe)},
        "pairs": {trial.name: _pairs_digest(draw_of(trial, context)) for trial in trials_of(context.recipe)},
    }


def _about(method: Method, task: Task) -> str:
    """Return what the method is; a head of labels, numbers, tokens or alternatives is another."""
    if method.is_peer:
        return f"{method.about} ({describe_versions(method)})"
    if method.network != "frozen-head" or task.kind.class_logits:
        return method.about
    if task.kind.fitted or not task.kind.head_learns:
        return task.kind.words.baseline
    return "a linear head on frozen states, trained by gradient as long as the others"


def _steps(path: Path) -> int:
    """Count the steps of the optimiser in a training; 0 where there was none."""
    return max((int(row["step"]) for row in read_lines(path, EPOCH)), default=0) if path.exists() else 0


def _setting(context: Context, method: Method) -> float | None:
    return getattr(context.recipe.train, method.rate.partition(".")[2]) if _has_rate(context, method) else None


def _has_rate(context: Context, method: Method) -> bool:
    """Return whether anything is learnt by gradient: no epochs are no training, but of a head that cannot be fitted."""
    closed_form = context.recipe.train.num_train_epochs == 0 and context.materials.task.kind.fitted
    return method.trained and not closed_form


def _labels_digest(draw: Draw) -> str:
    """Digest what a draw has labels of, and the labels: the same for all methods, or they are not comparable."""

    def known(examples: Sequence[Example]) -> list[tuple[object, ...]]:
        return [(e.id, *e.texts, e.gold) for e in examples]

    return _digest([known(draw.labelled), {code: known(shots) for code, shots in sorted(draw.shots.items())}])


def _pairs_digest(draw: Draw) -> str:
    """Digest the translations that a draw offers, as texts; copies that were made of them are a method's own."""
    return _digest(
        {
            code: [(e.id, e.text_a, e.text_b) for pair in pairs if pair[1].origin == GOLD for e in pair]
            for code, pairs in sorted(draw.pairs.items())
        }
    )


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def note_memory(path: Path, peak: int | None) -> None:
    """Write down the most bytes that a method's process has held, over all trials; None where that is not known."""
    if peak is not None:
        write_json(path, {"peak_bytes": max(read_object(path, MEMORY).get("peak_bytes") or 0, peak)})
