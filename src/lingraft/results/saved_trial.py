"""Which of a run's trials its saved model is, in words: people count draws from 1, folders from 0."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..core.files import read_object
from ..core.shots import TRIAL, shots_in
from .run_files import RunFiles, trial_of
from .schemas import SUMMARY
from .wording import count, describe_shots, plural
from .words import Words, words_of


def saved_trial(folder: Path) -> str:
    """Return the name of the trial of a run that answers, from its ``summary.json``; empty where none is there.

    Raises:
        RunError: The file is damaged.
    """
    return str(read_object(folder / "summary.json", SUMMARY).get("selected_trial") or "")


def describe_saved(folder: Path, words: Words) -> str:
    """Say which trial of a run answers, from its ``summary.json``; empty where there is no choice.

    Raises:
        RunError: The file is damaged.
    """
    summary = read_object(folder / "summary.json", SUMMARY)
    return describe_trial(str(summary.get("selected_trial") or ""), summary.get("trials", ()), words)


def explain_saved(run: RunFiles) -> str:
    """Say what the saved trial is beside the mean of all with as many shots; empty where it is the only one."""
    shots = shots_in(run.selected_trial)
    trials = {trial_of(score) for score in run.scores}
    like = [trial for trial in trials if shots_in(trial) == shots]
    described = describe_trial(run.selected_trial, trials, words_of(run.data))
    if len(like) < 2 or not described:
        return ""
    texts = " ".join(filter(None, [run.name(run.source_language), "development data"]))
    return (
        f"The mean is of {plural(len(like), 'trial')}, each with another draw of the examples or another seed. The "
        f"saved trial is one of them: {described}, the best on {texts}. `predict`, `evaluate` and `serve` use it alone."
    )


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
