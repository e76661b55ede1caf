"""``predict``: the predictions of a trained run."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .terminal import Quiet, RunFolder

if TYPE_CHECKING:
    from ..core.progress import Reporter
    from ..serving.inputs import Shape

EVERY = 10.0  # seconds between two lines on how it goes


def predict(
    folder: RunFolder,
    file: Annotated[
        Path | None,
        typer.Argument(help=".txt (one text a line), .jsonl, .csv, .tsv, .parquet, .conll; default: standard input."),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Language of the texts; default: the run's only target language.")
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
    from ..serving.answer_lines import write_answers
    from ..serving.inputs import checked_first, column_names, read_given, shape_of
    from ..serving.own_names import own_names
    from ..serving.predictor import kind_at, load

    file = None if file == Path("-") else file
    reporter, (kind, identity) = Reporter(quiet=quiet), kind_at(folder)
    names = own_names(folder).choose(text=text, text_b=text_b)
    found = shape or shape_of(file, kind, names)
    if shape is None:
        _say_guess(reporter, file, found)
    code = language or (names.targets[0] if names.targets else identity.source_language)
    paired = identity.paired
    guessed = shape is None and file is None
    given = read_given(file, found, kind, names=names, language=code, paired=paired, guessed=guessed)
    given = checked_first(given, kind, names, paired=paired)
    adapted = replace(load(folder), names=names)
    gc.freeze()
    gc.enable()
    warnings.showwarning = lambda message, *rest, **more: print(message, file=sys.stderr)  # noqa: T201
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # whatever the terminal's is: so are the files that are read
    form = output or ("conll" if found == "conll" else "jsonl")
    columns = column_names(file, found) if form == "csv" and file is not None else ()
    with_pace(
        reporter,
        lambda advance: write_answers(
            sys.stdout,
            given,
            adapted,
            form,
            columns=columns,
            advance=advance,
            language=language,
            abstain=abstain,
            probabilities=probabilities,
        ),
    )


def _say_guess(reporter: Reporter, file: Path | None, shape: Shape) -> None:
    """Say what lines are taken for, where they could be something else."""
    if shape == "conll" and (file is None or file.suffix.lower() not in (".conll", ".conllu")):
        reporter.say(
            f"{file or 'standard input'}: read as a word a line, with an empty line between sentences; if each line is "
            "a text, say so with --input-format text"
        )


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
        return f"{lines:,} line{'' if lines == 1 else 's'}, {lines / seconds:,.1f} lines per second"

    def advance(more: int) -> None:
        nonlocal lines, last
        lines += more
        if reporter.clock() - last >= EVERY:
            last = reporter.clock()
            reporter.say(pace())

    work(advance)
    reporter.say(pace())
