"""What torchrun and ``accelerate launch`` leave in the environment of each process that they start."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .errors import RunError


def launched(environment: Mapping[str, str] = os.environ) -> int:
    """Return how many processes a launcher started together: 1 without one.

    Raises:
        RunError: What it left is no number.
    """
    if "RANK" not in environment:
        return 1
    size = environment.get("WORLD_SIZE", "1")
    if not (size.isascii() and size.isdecimal()):
        raise RunError(f"WORLD_SIZE={size}: expected a number of processes, as torchrun sets it")
    return int(size)


def refuse_launch(command: str, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse to do in several processes what one is to do.

    Raises:
        RunError: A launcher started several.
    """
    if launched(environment) > 1:
        raise RunError(
            f"lingraft {command} runs in one process: start it without torchrun or accelerate launch, which are "
            "for lingraft run; trials of a comparison go to several machines with --ray"
        )
