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
    """Write the report and the model card of a run again, from its files."""
    from ..results.pages.run_report import write_model_card, write_report

    if not (folder / "summary.json").is_file():
        raise RunError(f"{folder} is no run that came to its end; finish it with: lingraft run RECIPE")
    if (folder / "README.md").is_file():
        write_model_card(folder)  # it marks a run as finished, so only a finished one gets it again
    console.print(str(write_report(folder)), highlight=False)
    if markdown is not None:
        from ..results.pages.run_markdown import write_results_page

        written = write_results_page(folder, markdown, command=command or f"lingraft run {folder / 'recipe.yaml'}")
        console.print(str(written), highlight=False)
