"""Which trials are finished: ``trial.json``, written last, names every file that a trial left, with its digest.

So a file that was lost or damaged since is noticed, and the trial is made anew: it is never left out of a
mean without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..core.errors import RunError
from ..core.files import digest_of, is_leftover, read_object, write_json
from ..core.records import Trial
from ..results.method_schemas import TRIAL
from ..results.schemas import FORMAT

STATE = "training.safetensors"
"""Where the training of a trial stands, beside what the trial leaves; gone once it is finished."""

_NOT_LEFT = ("trial.json", "identity.json", STATE)
"""Files beside what a trial left: the record itself, what the trial is made of, and where its training stands."""


def note_finished(folder: Path, trial: Trial, facts: Mapping[str, Any]) -> None:
    """Write ``trial.json``: facts, and the digests of what the trial has left in a run's folder."""
    left = [
        path
        for place in _places(folder, trial)
        for path in sorted(place.glob("*"))
        if path.is_file() and path.name not in _NOT_LEFT and not is_leftover(path)
    ]
    files = {path.relative_to(folder).as_posix(): digest_of(path) for path in left}
    write_json(_record(folder, trial), {"format": FORMAT, **facts, "files": files})


def drop_state(folder: Path, trial: Trial) -> None:
    """Remove the training state of a finished trial, which a kill may have left beside it."""
    (folder / "trials" / trial.name / STATE).unlink(missing_ok=True)


def read_facts(folder: Path, trial: str) -> dict[str, Any]:
    """Return what ``trial.json`` says of a trial, by its name, the digests apart."""
    return {
        name: value
        for name, value in read_object(folder / "trials" / trial / "trial.json", TRIAL).items()
        if name not in ("files", "format")
    }


def is_finished(folder: Path, trial: Trial, say: Callable[[str], None] = lambda sentence: None) -> bool:
    """Return whether a trial is finished and all that it left is as it was; ``say`` reports what is not."""
    path = _record(folder, trial)
    if not path.exists():
        return False
    try:
        files = read_object(path, TRIAL).get("files", {})
    except RunError:
        spoilt = path
    else:
        found = [folder / name for name, digest in files.items() if not _is_still(folder / name, digest)]
        if not found:
            return True
        spoilt = found[0]
    say(f"{trial.name}: {spoilt} is {'damaged' if spoilt.exists() else 'missing'}; this trial is made anew")
    return False


def _is_still(path: Path, digest: str) -> bool:
    return path.is_file() and digest_of(path) == digest


def _record(folder: Path, trial: Trial) -> Path:
    return folder / "trials" / trial.name / "trial.json"


def _places(folder: Path, trial: Trial) -> tuple[Path, Path]:
    return folder / "trials" / trial.name, folder / "predictions" / trial.name
