"""What the commands share: where they print, and the arguments that several of them take."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.terminal_text import Terminal, as_text

if TYPE_CHECKING:
    from ..experiments.compare import Train

console = Terminal()

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a YAML file; - for standard input.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Settings to change, e.g. train.learning_rate=1e-3.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be run and how long it takes.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and warnings.")]
OnRay = Annotated[
    bool,
    typer.Option("--ray", help="Work on a Ray cluster: that of RAY_ADDRESS, or one of this machine."),
]
RunFolder = Annotated[Path, typer.Argument(help="A folder that `lingraft run` wrote.")]
TrainedOn = Annotated[
    Path | None,
    typer.Option("--backbone", help="Where the checkpoint is now that the run was trained on; default: where it was."),
]


def trained_on(ray: bool) -> Train | None:
    """Return what trains the trials of a comparison elsewhere; None where they are trained here.

    Raises:
        ServiceError: Ray is asked for, and not installed.
    """
    if not ray:
        return None
    from ..distributed.trials import on_cluster

    return on_cluster()


def print_warning(text: str, to: Terminal = console) -> None:
    """Print a warning, which is called so."""
    to.print(as_text("warning:", "yellow"), as_text(text))


class LogOnTerminal(logging.Handler):
    """Prints warnings of the package as everything else is printed."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        print_warning(record.getMessage(), Terminal(stderr=True, soft_wrap=True))


def say_lines(lines: Iterable[str]) -> None:
    """Write lines to the terminal as they are."""
    for line in lines:
        console.print(line, markup=False, highlight=False)
