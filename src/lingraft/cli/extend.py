"""``extend``: a checkpoint that reads a script which it did not know."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .terminal import say_lines


def extend(
    checkpoint: Annotated[str, typer.Argument(help="`bundled:NAME`, a folder, or a Hub id.")],
    corpus: Annotated[
        list[Path], typer.Option("--corpus", help="Texts of the language, one a line or a table; may repeat.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder that is written; a new one.")],
    text: Annotated[str, typer.Option("--text", help="Column of the text, in tables.")] = "text",
    pieces: Annotated[
        int, typer.Option("--pieces", min=0, max=100_000, help="Most new pieces, besides single characters.")
    ] = 1000,
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="Translations into the language, to make the new rows of.")
    ] = None,
    language: Annotated[str | None, typer.Option("--language", help="Of the target side of --pairs.")] = None,
    source_language: Annotated[str, typer.Option("--source-language", help="Of the source side of --pairs.")] = "en",
) -> None:
    """Write a copy of a checkpoint with pieces for a script that it does not know, where it has none of it.

    Only with more than 5 % of unknown pieces. That texts without new characters are read as before is proven before
    the folder appears.
    """
    from ..serving.vocabularies.extending import extend as write

    say_lines(
        write(
            checkpoint,
            corpus,
            output,
            text=text,
            pieces=pieces,
            pairs=pairs,
            language=language,
            source_language=source_language,
        )
    )
