"""The HTML page of an experiment, and its main table as LaTeX and CSV beside it.

A report is put together of sections from what an experiment found: the same records, tables and sentences as those of
the Markdown pages. It loads nothing; a few lines of script sort its tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from ...core.files import write_text
from ..tables import Table
from .escaping import describe_notes
from .table_formats import csv_tables, latex_tables
from .templating import fill_template, script_of

PAGE = "report.html"


@dataclass(frozen=True)
class Chart:
    """An SVG element, and a line of Markdown below it."""

    svg: str
    caption: str = ""

    @property
    def drawn(self) -> Markup:
        """The element, for a template."""
        return Markup(self.svg)


@dataclass(frozen=True)
class Section:
    """A part of a report; title and notes are Markdown. One that is folded away shows its title alone at first."""

    kicker: str
    title: str
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    folded: bool = False


@dataclass(frozen=True)
class Report:
    """A whole page; title, findings, revisions and remarks are Markdown."""

    name: str
    """Of the experiment, and of the files of its main table."""
    title: str
    findings: Sequence[str]
    sections: Sequence[Section]
    main: Sequence[Table]
    """What goes into LaTeX and CSV."""
    task: str
    languages: Sequence[str]
    """Names of the targets."""
    revisions: Sequence[str] = ()
    """What the numbers were made by."""
    remarks: Sequence[str] = ()
    """Of the recipe."""


def files_of(name: str, page: str = PAGE) -> tuple[str, ...]:
    """Return the names of the files that the report of an experiment writes."""
    return page, f"{name}.csv", f"{name}.tex"


def write_report(report: Report, folder: Path, *, command: str | None, page: str = PAGE) -> None:
    """Write a page, and its main table, into the folder of an experiment.

    Args:
        report: What the page says.
        folder: Of the experiment.
        command: How the page came about; None where nobody knows.
        page: The name of its file.

    Raises:
        WriteError: The system refused.
    """
    html, csv, tex = (folder / name for name in files_of(report.name, page))
    write_text(csv, csv_tables(report.main))
    write_text(tex, latex_tables(report.main))
    context = {
        "report": report,
        "remarks": "\n".join(describe_notes(report.remarks)),
        "command": command or f"lingraft {report.name}",
        "beside": [csv.name, tex.name],
    }
    write_text(html, fill_template("experiment.html.j2", context | script_of("sort.js")))
