"""Whether the files at the top of a finished run's folder are still those that it left.

``finished.json`` has the digest of each, and is written when all of them are there. A run that is not finished, or was
written before there were digests, has none, and nothing is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter

from ..core.errors import LingraftError, RunError
from ..core.files import digest_of, read_object, write_json
from ..core.written_recipe import run_again
from .schemas import FORMAT, File

NAME = "finished.json"

LEFT = (
    *("adaptation.safetensors", "data.json", "summary.json", "scores.jsonl", "training.jsonl"),
    *("states.json", "retention.json", "letters.json", "answers.*.jsonl", "peft_lora/*"),
    *("pseudo.jsonl", "pseudo.json"),
)
"""Patterns of what the end of a run leaves; its pages are made of these, and may be written again at any time."""

Place = Annotated[str, StringConstraints(pattern=r"^\w[^/\\\x00-\x1f]*(/\w[^/\\\x00-\x1f]*)?$", max_length=300)]
"""Of a file within the folder, never outside it."""


class Finished(File):
    """``finished.json``."""

    files: dict[Place, str]


SCHEMA: TypeAdapter[Finished] = TypeAdapter(Finished)


def note_digests(folder: Path) -> None:
    """Write down the digest of every file that a run has left at the top of its folder."""
    left = [path for pattern in LEFT for path in sorted(folder.glob(pattern)) if path.is_file()]
    files = {path.relative_to(folder).as_posix(): digest_of(path) for path in left}
    write_json(folder / NAME, {"format": FORMAT, "files": files})


def refuse_changed(folder: Path, only: str | None = None, *, error: type[LingraftError] = RunError) -> None:
    """Refuse the folder of a finished run of which a file is missing or is not what the run left.

    Args:
        folder: Of the run.
        only: The one file that is asked for; by default all.
        error: What is raised.

    Raises:
        LingraftError: With the first such file, or because the digests cannot be read.
    """
    for name, digest in _noted(folder).items():
        path = folder / name
        if only in (None, name) and not (path.is_file() and digest_of(path) == digest):
            what = "is not what the run left there" if path.exists() else "is missing, which the run left there"
            raise error(f"{path} {what}; {run_again(path)}")


def is_as_left(folder: Path) -> bool:
    """Return whether the digests are there, and every file has its own."""
    try:
        refuse_changed(folder)
    except RunError:
        return False
    return (folder / NAME).exists()


def _noted(folder: Path) -> Mapping[str, str]:
    files: Mapping[str, str] = read_object(folder / NAME, SCHEMA).get("files", {})
    return files
