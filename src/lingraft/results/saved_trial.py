"""Which of a run's trials its saved model is, in words: people count draws from 1, folders from 0."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..core.files import read_object
from ..core.shots import TRIAL, shots_in
from .schemas import SUMMARY
from .wording import count, describe_shots
from .words import Words


def describe_saved(folder: Path, words: Words) -> str:
    """Say which trial of a run answers, from its ``summary.json``; empty where there is no choice.

    Raises:
        RunError: The file is damaged.
    """
    summary = read_object(folder / "summary.json", SUMMARY)
    return describe_trial(str(summary.get("selected_trial") or ""), summary.get("trials", ()), words)


def describe_trial(name: str, trials: Iterable[str], words: Words) -> str:
    """Say which of several trials one is: ``5 shots per label (draw 1 of 3, seed 2)``; empty for the only one.

    Args:
        name: Of the trial.
        trials: Names of all.
        words: What a shot is called.
    """
    found, every = TRIAL.fullmatch(name), [hit for hit in map(TRIAL.fullmatch, trials) if hit]
    if found is None or len(every) < 2:
        return ""
    draws = {hit["draw"] for hit in every if shots_in(hit[0]) == shots_in(name)}
    draw = f"draw {count(int(found['draw']) + 1)} of {count(len(draws))}"
    shots = shots_in(name)
    order = f", order {int(found['order'])}" if found["order"] else ""
    return f"{describe_shots(shots, words) if shots else 'no target labels'} ({draw}, seed {int(found['seed'])}{order})"
