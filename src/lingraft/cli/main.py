"""The command line: talk to people, call the pipeline, turn errors into one clear block.

Nothing heavy is imported at the top of any command's file, so ``--help`` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from ..core.errors import LingraftError
from ..core.launcher import refuse_launch
from ..core.signals import EXIT_CODES, ending_in_order
from ..core.terminal_text import Terminal, as_text, naming_output, spell_missing_letters
from . import (
    augment,
    compare,
    evaluate,
    export,
    extend,
    info,
    predict,
    push,
    report,
    run,
    serve,
    shots,
    sources,
    stability,
    trim,
    tune,
)
from .terminal import LogOnTerminal

CONTINUED = ("run", "demo", "augment", "compare", "stability", "shots", "tune", "sources")
"""Commands that leave something behind when they are stopped, and go on from there."""

app = typer.Typer(
    help="Graft a task and a language onto a frozen multilingual language model with very little data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
cache_app = typer.Typer(help="The store of frozen states.", no_args_is_help=True)

for command in (
    run.init,
    run.check,
    run.run,
    augment.augment,
    compare.compare,
    stability.stability,
    shots.shots,
    tune.tune,
    sources.sources,
    run.demo,
    evaluate.evaluate,
    evaluate.score,
    predict.predict,
    serve.serve,
    export.export,
    trim.trim,
    extend.extend,
    push.push,
    report.report,
):
    app.command()(command)
app.command(name="list")(info.list_)
app.command()(info.schema)
app.add_typer(cache_app, name="cache")
cache_app.command("info")(info.cache_info)
cache_app.command("prune")(info.cache_prune)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; every error that a user can cure ends here, without a traceback.

    Args:
        arguments: What follows ``lingraft``; default: what this process was started with.
    """
    # Two OpenMP threads that spin while another process works are slower than one. Read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    spell_missing_letters(sys.stdout)
    if not (log := logging.getLogger("lingraft")).handlers:
        log.addHandler(LogOnTerminal())
    try:
        with ending_in_order():
            app(arguments)
    except LingraftError as error:
        _say_error(str(error))
        sys.exit(1)
    except SystemExit as end:
        if end.code in EXIT_CODES:
            Terminal(stderr=True, soft_wrap=True).print(_stopped(sys.argv[1:] if arguments is None else arguments))
        raise
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            _close_output()
        place = f"{error.filename}: " if error.filename else ""
        _say_error(f"{place}{error.strerror or error}")
        sys.exit(1)
    except MemoryError:
        _say_error(
            "this machine has not enough memory for what was asked; what was finished is kept: take fewer texts, a "
            "smaller train.batch_size or cache.dtype: float16, or close other programs"
        )
        sys.exit(1)


def _stopped(arguments: Sequence[str]) -> str:
    """Say what is left of a command that was asked to end."""
    name = next((one for one in arguments if not one.startswith("-")), "")
    if name in CONTINUED and "--dry-run" not in arguments:
        return "stopped; what a run or a comparison has finished is kept, and the same command again continues it"
    return "stopped; the same command begins anew"


def _say_error(text: str) -> None:
    Terminal(stderr=True, soft_wrap=True).print(as_text("error", "bold red"), as_text(text))


def _close_output() -> NoReturn:
    """Close the output whose reader went away, as `head` does; nothing is wrong."""
    with suppress(OSError):
        sys.stdout.close()
    sys.exit(0)


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """Graft a task and a language onto a frozen multilingual language model with very little data."""
    if show:
        from ..core.version import __version__

        with naming_output():
            typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand != "run":
        refuse_launch(context.invoked_subcommand or "")
