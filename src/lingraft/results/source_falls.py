"""Training that cost the source language something: said wherever a run is reported, never silently.

The development score of the source language after training, against that of where training began (the frozen
head, or the run that it went on from). A fall is said where the whole interval of the difference lies below zero.
"""

from __future__ import annotations

from ..core.files import Row
from .run_files import RunFiles
from .units import MINUS, unit_of
from .wording import metric_name, plural, score


def is_fall(change: Row) -> bool:
    """Return whether a score fell by more than chance explains: the interval lies below zero."""
    return change["high"] is not None and change["high"] < 0


def describe_fall(language: str, metric: str, change: Row) -> str:
    """Say that the source language lost, by how much, and what may be done.

    Args:
        language: Its name.
        metric: Of the score.
        change: ``n``, ``before``, ``after``, ``low`` and ``high``, as ``trial.json`` has it in ``source_change``.
    """
    before, after, unit = change["before"], change["after"], unit_of(metric)
    apart, low, high = (
        unit.number(number, 1, plus=True).replace("-", MINUS)
        for number in (after - before, change["low"], change["high"])
    )
    return (
        f"training cost {language}, which the task is learnt in: development {metric_name(metric)} fell from "
        f"{score(before, 1, unit)} to {score(after, 1, unit)} ({apart}{unit.points} [{low}, {high}], "
        f"n = {change['n']:,}). Lower "
        "train.learning_rate, or the weight of what is learnt beside its labels, such as alignment losses, shots and "
        "pseudo-data"
    )


def warn_of_falls(run: RunFiles, metric: str) -> str:
    """Say of a finished run in how many trials the source language lost, and of the worst of them how much."""
    falls, trials = run.summary.get("source_falls", {}), run.summary.get("trials", {})
    if not falls:
        return ""
    worst = min(falls, key=lambda trial: falls[trial]["after"] - falls[trial]["before"])
    said = describe_fall(run.name(run.source_language), metric, falls[worst])
    among = f"In {len(falls)} of {plural(len(trials), 'trial')}, most in {worst}, " if len(trials) > 1 else ""
    return f"{among}{said if among else said[:1].upper() + said[1:]}."
