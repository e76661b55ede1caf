"""The same tables in Markdown, in LaTeX for papers, and in CSV for programs.

LaTeX needs the package ``booktabs`` (Fear, 2005): three rules, and none between columns.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from io import StringIO

from ...core.terminal_text import printable
from ..tables import Cell, Column, Table
from ..units import MINUS
from ..wording import NBSP
from .escaping import code_span, markdown_text

LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "<": "$<$", ">": "$>$", "|": "$|$", "∞": r"$\infty$", "×": r"$\times$", "→": r"$\rightarrow$", MINUS: "$-$",
    "–": "--", "—": "---", "…": r"\ldots{}", NBSP: "~",
}  # fmt: skip
SIGNED = re.compile(r"(?<![\w.])-(?=\d)")
"""A hyphen that is a minus."""


def markdown_table(table: Table) -> list[str]:
    """Return the lines of a table in Markdown, numbers to the right."""
    rules = ["--:" if column.kind == "number" else "---" for column in table.columns]
    rows = [[_in_markdown(cell, column) for cell, column in zip(row, table.columns, strict=True)] for row in table.rows]
    cells = [[markdown_text(column.heading) for column in table.columns], rules, *rows]
    return [f"| {' | '.join(row)} |" for row in cells]


def _in_markdown(cell: Cell, column: Column) -> str:
    if column.kind != "code" or not cell.text:
        return markdown_text(cell.text)
    return code_span(cell.text).replace("|", "\\|")  # it would end the cell, in code too


def latex_text(text: object) -> str:
    """Return text as LaTeX that shows it, on one line."""
    line = SIGNED.sub(MINUS, re.sub(r"[^\S\u00a0]+", " ", printable(str(text))))
    return "".join(LATEX.get(sign, sign) for sign in line)


def latex_tables(tables: Sequence[Table]) -> str:
    """Return one ``tabular`` of tables that share their columns, each under its title where there are several.

    Raises:
        ValueError: Their columns differ, or there is no table.
    """
    columns = _shared_columns(tables)
    align = "".join("r" if column.kind == "number" else "l" for column in columns)
    lines = ["% needs \\usepackage{booktabs}", f"\\begin{{tabular}}{{{align}}}", "\\toprule"]
    lines.append(_latex_row([column.heading for column in columns]))
    for table in tables:
        lines.append("\\midrule")
        if len(tables) > 1:
            lines.append(f"\\multicolumn{{{len(columns)}}}{{l}}{{{latex_text(table.title)}}} \\\\")
        lines += [_latex_row(row) for row in table.texts]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    first, *others = map(latex_text, cells)
    guard = "{}" if first.startswith(("[", "*")) else ""  # else an argument of the line end before it
    return " & ".join([guard + first, *others]) + " \\\\"


def csv_tables(tables: Sequence[Table]) -> str:
    """Return tables that share their columns as one, each row with what its table has in common; shares are 0 to 1.

    Raises:
        ValueError: Their columns differ, or there is no table.
    """
    columns, common = _shared_columns(tables), list(dict.fromkeys(key for table in tables for key in table.common))
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*common, *(key for column in columns for key in column.keys)])
    for table in tables:
        for row in table.rows:
            values = [
                value
                for cell, column in zip(row, columns, strict=True)
                for value in (cell.values or (None,) * len(column.keys))
            ]
            writer.writerow([*(table.common.get(key) for key in common), *values])
    return printable(file.getvalue())


def _shared_columns(tables: Sequence[Table]) -> tuple[Column, ...]:
    shared = {table.columns for table in tables}
    if len(shared) != 1:
        raise ValueError(f"expected tables with the same columns, not {len(shared)} kinds of them")
    return shared.pop()
