"""Callbacks that write a run's numbers to where people watch their trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

Callback = Callable[[Mapping[str, Any]], None]


class Writer(Protocol):
    """What is used of ``torch.utils.tensorboard.SummaryWriter``."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object:
        """Write a number."""
        ...


def to_tensorboard(writer: Writer) -> Callback:
    """Return a callback that writes losses, development score and test scores to TensorBoard.

    Args:
        writer: A ``SummaryWriter``; whoever made it closes it.
    """

    def callback(event: Mapping[str, Any]) -> None:
        numbers, step = numbers_of(event)
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)

    return callback


def to_trackio(log: Callable[..., object]) -> Callback:
    """Return a callback that logs the same numbers with ``trackio.log``, or ``wandb.log``, which is called alike.

    Steps go on from one trial to the next, and test scores are of a trial's last step: wandb drops what is logged at a
    step before the last one.

    Args:
        log: Takes numbers by name and ``step``; ``trackio.init`` was called before.
    """
    last = begun = 0  # the step that was logged last, and that after which the trial began

    def callback(event: Mapping[str, Any]) -> None:
        nonlocal last, begun
        numbers, step = numbers_of(event)
        if not numbers:
            return
        if begun + step < last:
            begun = last
        last = begun + step
        log(numbers, step=last)

    return callback


def numbers_of(event: Mapping[str, Any]) -> tuple[dict[str, float], int]:
    """Return the numbers of an event by name, and the step that they are of; none where it has none.

    Args:
        event: Of a run. Names begin with its trial: ``k0-draw0-seed1/loss``.
    """
    trial, step = event.get("trial", event.get("name")), int(event.get("step", 0))
    if event["event"] == "step":
        found = {name: event[name] for name in ("loss", "tokens_per_second")}
    elif event["event"] == "epoch":
        wanted = {name for name in event if name.endswith(("_loss", "_score"))} - {"loss"}
        found = {f"epoch/{name}": event[name] for name in sorted(wanted)}
    elif event["event"] == "trial":
        found = {f"test/{one['language']}/{one['method']}/{one['metric']}": one["value"] for one in event["scores"]}
    else:
        found = {}
    return {f"{trial}/{name}": float(value) for name, value in found.items() if value is not None}, step
