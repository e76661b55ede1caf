"""``predict``: the predictions of a trained run."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..core.counted import counted
from .terminal import OnRay, Quiet, RunFolder, TrainedOn, print_warning

if TYPE_CHECKING:
    from ..core.progress import Reporter

EVERY = 10.0  # seconds between two lines on how it goes


def predict(
    folder: RunFolder,
    file: Annotated[
        Path | None,
        typer.Argument(
            help=".txt (one text a line), .csv, .tsv, .xlsx, .jsonl, .parquet, .conll; default: standard input."
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Language of the texts; default: the run's only target or, of several, as letters say."),
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column of the text; default: that of the run's own data.")] = None,
    text_b: Annotated[str | None, typer.Option(help="Column of the second text of a pair; default: the same.")] = None,
    output: Annotated[
        Literal["jsonl", "csv", "conll"] | None,
        typer.Option("--format", help="Output format; default: jsonl, and conll where the words came so."),
    ] = None,
    shape: Annotated[
        Literal["text", "jsonl", "csv", "tsv", "conll"] | None,
        typer.Option("--input-format", help="What is read; default: what the file's name or the first line says."),
    ] = None,
    abstain: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Withhold answers of a lower confidence.")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write the probability of every class.")
    ] = False,
    backbone: TrainedOn = None,
    ray: OnRay = False,
    quiet: Quiet = False,
) -> None:
    """Predict texts, or rows of a table, with a trained run: a line for each, in order, with its confidence.

    Rows keep their own columns, and a row without text has an empty answer. The run's model card shows one item.
    Where that is more than a text (a question with its context, a text with alternatives), the file is a table that
    has its parts as columns. Lines come out while others are read.
    """
    import gc

    gc.disable()  # a hundred thousand objects are imported now, and none of them is garbage
    from ..core.progress import Reporter
    from ..serving.answer_file import Request, open_file

    reporter = Reporter(quiet=quiet)
    warnings.showwarning = lambda message, *rest, **more: print_warning(str(message), reporter.console)
    write_as_files(sys.stdout)
    request = Request(
        shape=shape,
        form=output,
        language=language,
        text=text,
        text_b=text_b,
        abstain=abstain,
        probabilities=probabilities,
        backbone=backbone,
    )
    read = None if file == Path("-") else file
    if ray:
        from ..distributed.predictions import open_on_cluster

        write = open_on_cluster(folder, read, request, reporter.say)
    else:
        write = open_file(folder, read, request, reporter.say).answer()
    gc.freeze()
    gc.enable()
    with_pace(reporter, lambda advance: write(sys.stdout, advance=advance))


def write_as_files(stream: object) -> None:
    """Let a stream write UTF-8, and line ends as they are given: so are the files that are read, on any system.

    Args:
        stream: Standard output; what is no text file of the system is left alone.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", newline="")


def with_pace(reporter: Reporter, work: Callable[[Callable[[int], None]], None]) -> None:
    """Do work that counts its lines, and say every few seconds, and at its end, how many it does in a second.

    Args:
        reporter: Says it.
        work: Called with what counts lines.
    """
    started = last = reporter.clock()
    lines = 0

    def pace() -> str:
        seconds = max(reporter.clock() - started, 1e-9)
        return f"{counted(lines, 'line')}, {lines / seconds:,.1f} lines per second"

    def advance(more: int) -> None:
        nonlocal lines, last
        lines += more
        if reporter.clock() - last >= EVERY:
            last = reporter.clock()
            reporter.say(pace())

    work(advance)
    reporter.say(pace())
