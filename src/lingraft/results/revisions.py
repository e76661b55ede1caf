"""Which versions of lingraft the scores of a table come from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..core.files import Row, read_lines
from .schemas import SCORE
from .wording import listed


def describe_revisions(folder: Path) -> list[str]:
    """Return a line on what the trials in a folder's ``scores.jsonl`` were made by; nothing where they do not say.

    Trials of several revisions are no fault, but whoever reads the table should know.
    """
    return say_revisions(read_lines(folder / "scores.jsonl", SCORE))


def say_revisions(rows: Iterable[Row]) -> list[str]:
    """Return the same line of rows that say their ``version`` and ``revision``."""
    found = revisions_of(rows)
    if not found:
        return []
    if len(found) == 1:
        return [f"All trials are of {found[0]}.", ""]
    return [f"**The trials are of several versions: {listed(found)}.**", ""]


def revisions_of(rows: Iterable[Row]) -> list[str]:
    """Return the versions and revisions of some scores, each once, in their order; those that say none are left out."""
    seen = dict.fromkeys((row.get("version"), row.get("revision")) for row in rows)
    return [
        f"lingraft {version}" + (f", revision {revision}" if revision else "") for version, revision in seen if version
    ]
