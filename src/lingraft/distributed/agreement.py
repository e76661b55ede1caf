"""What a node must have in common with the machine that work was started on, before it does any of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..core.errors import RunError
from ..core.version import __version__

VERSION = {"version of lingraft": __version__}
"""Of the machine that this is asked on."""


def work_in(folder: str) -> None:
    """Let relative paths begin where they do on the machine that work was started on, if there is such a folder."""
    if Path(folder).is_dir():
        os.chdir(folder)


def refuse_other(expected: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Refuse to work on something else than is asked for.

    Args:
        expected: Digests of the machine that work was started on, by what they are of.
        found: Those of this node.

    Raises:
        RunError: They are not the same; with what differs.
    """
    if other := sorted(what for what in expected.keys() | found.keys() if expected.get(what) != found.get(what)):
        raise RunError(
            f"this node has something else than there was where the work was started: {', '.join(other)}; give every "
            "node the same files under the same paths, and the same lingraft"
        )
