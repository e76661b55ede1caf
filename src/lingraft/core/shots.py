"""How much is labelled in a target language: a number of examples per class, or all that there are."""

from __future__ import annotations

import math
import re
from typing import Literal

Shots = int | Literal["all"]
"""Labelled examples per class that are learnt from in a target language; ``all`` that there are, as they are."""


def order_of_shots(shots: Shots) -> float:
    """Return what numbers of shots are sorted by: ``all`` is the most."""
    return math.inf if shots == "all" else shots


def shots_in(trial: str) -> Shots:
    """Return the shots in a trial's name; 0 where it says none."""
    found = re.match(r"k(\d+|all)-", trial)
    return 0 if found is None else "all" if found[1] == "all" else int(found[1])


TRIAL = re.compile(r"k(?P<shots>\d+|all)-draw(?P<draw>\d+)-seed(?P<seed>\d+)(?:-order(?P<order>\d+))?")
"""The name of a trial: shots, draw, seed and, where orders have seeds of their own, order."""


def name_with_pairs(method: str, pairs: int) -> str:
    """Return the name of a method that has so many translations: ``lingraft-50-pairs``."""
    return f"{method}-{pairs}-pairs"
