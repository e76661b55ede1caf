"""Pages about a finished run, each a file in its folder, made from the other files there alone.

A page is registered under the name of the file that it is. Its factory returns a function of what the run left; a
page of another package is written into every run's folder beside ours.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...core.files import write_text
from ...core.registry import Registry
from ..run_files import RunFiles, read_run

Page = Callable[[RunFiles], str]
"""What a run left to the text of a page."""

LAST = "README.md"
"""The model card, whose presence says that a run is finished; so it is written last."""

pages = Registry("lingraft.pages", "lingraft.results.pages")


def write_page(folder: Path, name: str) -> Path:
    """Write one page into a run folder, and return its path.

    Raises:
        RunError: There is no such folder, or a file in it is damaged.
    """
    page: Page = pages.build(name)
    write_text(folder / name, page(read_run(folder)))
    return folder / name


def write_pages(folder: Path) -> list[Path]:
    """Write every page into the folder of a finished run, the model card last."""
    return [write_page(folder, name) for name in sorted(pages, key=lambda name: (name == LAST, name))]
