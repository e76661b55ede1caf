"""``report``: the pages of a run again, from its files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import RunError
from .terminal import RunFolder, console


def report(
    folder: RunFolder,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the results as a Markdown page, scores beside it.")
    ] = None,
    command: Annotated[str | None, typer.Option(help="The command that the page names.")] = None,
) -> None:
    """Write the report, the model card and other pages of a run again, from its files."""
    from ..core.nearest_file import suggest_folder
    from ..results.finished_run import refuse_changed
    from ..results.pages import LAST, pages, write_page

    if (folder / "comparison.json").is_file():
        raise RunError(f"{folder} holds a comparison, whose page is written again by: lingraft compare RECIPE")
    refuse_changed(folder)
    if not (folder / "summary.json").is_file():
        near = suggest_folder(folder, "summary.json")
        if near or not folder.is_dir():
            raise RunError(f"{folder} is no run; give the folder of one{near}")
        raise RunError(f"{folder} is no run that came to its end; finish it with: lingraft run RECIPE")
    for name in pages:
        if name != LAST or (folder / LAST).is_file():  # it marks a run as finished: only a finished one gets it again
            console.print(str(write_page(folder, name)))
    if markdown is not None:
        from ..results.pages.run_markdown import write_results_page

        written = write_results_page(folder, markdown, command=command or f"lingraft run {folder / 'recipe.yaml'}")
        console.print(str(written))
