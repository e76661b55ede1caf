"""What goes wrong because of what the user gave us, as opposed to a bug of ours.

The command line prints these as one clear block and no traceback; every message says what was
expected, what came, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class LingraftError(Exception):
    """Base of all errors that a user can cure."""


class ConfigError(LingraftError):
    """A recipe is wrong; carries *every* problem, so that one round of editing is enough."""

    def __init__(self, problems: Sequence[str], where: str = "recipe") -> None:
        self.problems = list(problems)
        heading = f"{where}: {len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        super().__init__("\n".join([heading, *(f"  - {problem}" for problem in self.problems)]))


class DataError(LingraftError):
    """A data file does not say what its field map promises; names file, line or key."""


class CacheError(LingraftError):
    """The state cache cannot hold, or can no longer give back, what was stored."""


class CheckpointError(LingraftError):
    """A checkpoint or saved adaptation cannot be used as asked."""


class RunError(LingraftError):
    """A run folder is in use, unfinished, or belongs to another recipe."""


class WriteError(LingraftError):
    """A file could not be written; what was there before is untouched."""
