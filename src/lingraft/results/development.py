"""What trials answered to the source language's development set, from their ``development.jsonl``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.files import read_lines
from .resampling import Floats
from .schemas import DEVELOPMENT

Asked = tuple[tuple[str, str], ...]
"""Id and group of each development example."""


def read_development(folder: Path, trials: Sequence[str]) -> tuple[Floats, Asked] | None:
    """Return counts ``[U, N, K]`` and ids with groups ``[N]``; None where a trial has none, or others.

    Args:
        folder: Of a run, or of a method of a comparison.
        trials: Names of ``U`` of its trials.
    """
    places = [folder / "trials" / trial / "development.jsonl" for trial in trials]
    rows = [sorted(read_lines(place, DEVELOPMENT), key=lambda row: str(row["id"])) for place in places]
    asked = {tuple((str(row["id"]), str(row["group"])) for row in trial) for trial in rows}
    if len(asked) != 1 or not all(rows):
        return None
    return np.array([[row["counts"] for row in trial] for trial in rows], dtype=np.float64), asked.pop()
