"""The version, and the revision of the source where it runs from a checkout; imports nothing heavy."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

__version__ = "0.1.0"

SOURCE = Path(__file__).resolve().parents[3]
"""The checkout, where the package runs from one."""


def source_revision() -> str | None:
    """Return the commit of the checkout that the package runs from, with a ``+`` where its source differs."""
    return revision_of(SOURCE)


@cache
def revision_of(checkout: Path) -> str | None:
    """Return the first twelve digits of a checkout's commit, and a ``+`` where ``src`` differs; None if it is none.

    Args:
        checkout: Folder that holds ``.git`` and ``src``.
    """
    if not (checkout / ".git").exists() or not (checkout / "src" / "lingraft").is_dir():
        return None
    try:
        commit = _git(checkout, "rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git(checkout, "status", "--porcelain", "--", "src") else "")
    except (OSError, subprocess.SubprocessError):  # no git here, or a checkout of somebody else's
        return None


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
