"""What torchrun and ``accelerate launch`` leave in the environment of each process that they start."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from .errors import RunError

DIVIDES = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
}
"""What ``accelerate launch`` sets where the weights themselves are to be divided among processes."""


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


def refuse_division(environment: Mapping[str, str] = os.environ) -> None:
    """Refuse a launch that asks for weights to be divided, once: the first process says so, the others end.

    Raises:
        RunError: It does, in the first of several processes.
    """
    asked = next((name for variable, name in DIVIDES.items() if environment.get(variable) == "true"), None)
    if asked is None or launched(environment) == 1:
        return
    if environment["RANK"] != "0":
        sys.exit()
    raise RunError(
        f"accelerate launch asks for {asked}, which divides a model among processes, and here each process has all of "
        "the frozen model, since the first also computes alone; use torchrun or accelerate launch --multi_gpu, which "
        "give what one process gives, and where the model is too large for a device backbone.weights: 8bit or 4bit and "
        "train.gradient_checkpointing: true"
    )
