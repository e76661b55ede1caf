"""What the rows of ``training.jsonl`` say of how a training went: what learnt when, and what went wrong.

Every column but ``trial``, ``epoch`` and ``step`` may be missing: older runs did not write them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ..core.files import Row

TURN = 0.1
"""Two gradients whose cosine is nearer to 0 are called orthogonal."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Epochs in a row in which the same parts were trained, with the steps that they took."""

    epochs: tuple[int, int]
    steps: tuple[int, int]
    trained: tuple[str, ...]


def stages(rows: Sequence[Row]) -> list[Stage]:
    """Return what was trained when: equal epochs in a row are one stage; none where nobody wrote it down."""
    found: list[Stage] = []
    done = 0  # steps before this epoch
    for row in rows:
        trained = tuple(map(str, row.get("trained") or ()))
        if found and found[-1].trained == trained:
            last = found.pop()
            found.append(Stage((last.epochs[0], row["epoch"]), (last.steps[0], row["step"]), trained))
        elif trained:
            found.append(Stage((row["epoch"], row["epoch"]), (done + 1, row["step"]), trained))
        done = row["step"]
    return found


@dataclass(frozen=True, slots=True)
class Conflict:
    """How task and alignment get on: the mean cosine of their gradients, and their sizes, alignment over task."""

    cosine: float
    ratio: float | None

    @property
    def verdict(self) -> str:
        """``fight``, ``orthogonal`` or ``help``."""
        return "fight" if self.cosine < -TURN else "help" if self.cosine > TURN else "orthogonal"


def conflict(rows: Sequence[Row]) -> Conflict | None:
    """Return the mean over epochs; None where no gradients were compared."""
    cosines, ratios = _numbers(rows, "gradient_cosine"), _numbers(rows, "gradient_ratio")
    return Conflict(fmean(cosines), fmean(ratios) if ratios else None) if cosines else None


def _numbers(rows: Sequence[Row], key: str) -> list[float]:
    return [row[key] for row in rows if row.get(key) is not None and math.isfinite(row[key])]


@dataclass(frozen=True, slots=True)
class LossWeight:
    """The factor in front of an alignment loss, from the first epoch to the last."""

    name: str
    first: float
    last: float
    low: float
    high: float


def changed_weights(rows: Sequence[Row], names: Sequence[str]) -> list[LossWeight]:
    """Return the factors in front of the alignment losses; empty where all stayed what they were.

    Args:
        rows: Epochs of one trial.
        names: Of the losses, as in the recipe; a number serves where there are other ones.
    """
    by_epoch = [row["weights"] for row in rows if row.get("weights")]
    if not by_epoch or len({len(weights) for weights in by_epoch}) > 1:
        return []
    columns = list(zip(*by_epoch, strict=True))
    named = names if len(names) == len(columns) else [f"loss {i + 1}" for i in range(len(columns))]
    found = [
        LossWeight(name, column[0], column[-1], min(column), max(column))
        for name, column in zip(named, columns, strict=True)
    ]
    return found if any(not math.isclose(weight.low, weight.high, rel_tol=1e-6) for weight in found) else []


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something a trial warned of: in how many trials, and where first."""

    text: str
    trials: int
    trial: str
    epochs: tuple[int, int]


def noticed(trials: dict[str, list[Row]], selected: str) -> list[Noticed]:
    """Return the warnings of all trials, each text once, those of the selected trial first."""
    order = sorted(trials, key=lambda trial: trial != selected)
    where: dict[str, dict[str, list[int]]] = {}
    for trial in order:
        for row in trials[trial]:
            for text in row.get("warnings") or ():
                where.setdefault(str(text), {}).setdefault(trial, []).append(row["epoch"])
    return [
        Noticed(text, len(trials), trial := next(iter(trials)), (min(trials[trial]), max(trials[trial])))
        for text, trials in where.items()
    ]
