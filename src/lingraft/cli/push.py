"""``push``: a trained run on the Hugging Face Hub."""

from __future__ import annotations

from typing import Annotated

import typer

from .terminal import RunFolder, console


def push(
    folder: RunFolder,
    name: Annotated[str, typer.Argument(help="Of the repository: OWNER/NAME; made where there is none.")],
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public; default: private.")] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Upload the report too; it shows texts of the test sets.")
    ] = False,
) -> None:
    """Upload a trained run with its model card to the Hugging Face Hub; `lingraft.load("OWNER/NAME")` loads it.

    What was learnt, the recipe, the scores and the model card go there; neither data nor predictions do.
    """
    from ..serving.hub import push_run

    for line in push_run(folder, name, public=public, report=report):
        console.print(line)
