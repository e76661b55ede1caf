"""``trim``: a checkpoint, or a run, with the pieces of the vocabulary that a corpus needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .terminal import TrainedOn, say_lines


def trim(
    source: Annotated[str, typer.Argument(help="`bundled:NAME`, a folder, a Hub id, or a folder that `run` wrote.")],
    corpus: Annotated[
        list[Path], typer.Option("--corpus", help="Texts that are read as before, one a line or a table; may repeat.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder that is written; a new one.")],
    text: Annotated[
        str | None, typer.Option("--text", help="Column of the text, in tables; default: text, or the run's own.")
    ] = None,
    backbone: TrainedOn = None,
) -> None:
    """Write a smaller copy of a checkpoint or run that reads a corpus as the whole one does, and prove that it does.

    Pieces of all texts, all weights, and states and answers of some texts are compared before the folder appears.
    """
    from ..serving.vocabularies.trimming import trim as write

    say_lines(write(source, corpus, output, text=text, backbone=backbone))
