"""A table says the same in Markdown, in LaTeX and in CSV."""

import csv
import re
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.results.pages.table_formats import csv_tables, latex_tables, latex_text, markdown_table
from lingraft.results.tables import Cell, Column, Table, name_cell

COLUMNS = (Column("method", ("method",), "code"), Column("p & q", ("mean", "mean_low")), Column("x", ("x",)))
TABLE = Table(
    COLUMNS,
    (
        (name_cell("a_b|c"), Cell("64.7 % [-1.0, <2]", (0.647, -0.01)), Cell("1", (1,))),
        (name_cell("[d]"), Cell("–", (None, None)), Cell()),
    ),
    "5 shots & more",
    {"shots": 5},
)


def test_markdown_shows_names_as_code_and_numbers_to_the_right():
    """Whatever is in them."""
    assert markdown_table(TABLE) == [
        "| method | p & q | x |",
        "| --- | --: | --: |",
        r"| `a_b\|c` | 64.7 % [-1.0, &lt;2] | 1 |",
        "| `[d]` | – |  |",
    ]


def test_latex_is_a_tabular_with_three_rules():
    """One table has no line of its own for its title; a bracket in front is no argument of the line before it."""
    assert latex_tables([TABLE]) == (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "method & p \\& q & x \\\\\n"
        "\\midrule\n"
        "a\\_b$|$c & 64.7 \\% [$-$1.0, $<$2] & 1 \\\\\n"
        "{}[d] & -- &  \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )
    both = latex_tables([TABLE, TABLE])
    assert both.count("\\midrule\n\\multicolumn{3}{l}{5 shots \\& more} \\\\\n") == 2


def test_csv_has_the_numbers_themselves():
    """And what a table's rows have in common; what is not known is empty."""
    assert csv_tables([TABLE]) == "shots,method,mean,mean_low,x\n5,a_b|c,0.647,-0.01,1\n5,[d],,,\n"


def test_tables_that_differ_are_no_table():
    """Rather an error than a column of two meanings."""
    with pytest.raises(ValueError, match="2 kinds"):
        csv_tables([TABLE, Table(COLUMNS[:1], ())])


BARE = re.compile(r"(?<!\\)[&%#_{}]")


@given(st.text())
def test_no_text_is_a_command_of_latex(text):
    """What LaTeX reads as its own is written as a sign."""
    written = latex_text(text)
    plain = re.sub(r"\\\$|\\(textbackslash|textasciitilde|textasciicircum|ldots)\{\}|\$[^$]*\$", "", written)
    assert not BARE.search(plain)
    assert "\\\\" not in plain
    assert "\n" not in written
    assert "$" not in plain


@given(st.text(alphabet=st.characters(blacklist_categories=("C",))), st.floats(allow_nan=False))
def test_csv_is_read_as_it_was(name, number):
    """Any name, and every digit of a number."""
    table = Table(COLUMNS[:2], ((name_cell(name), Cell("", (number, None))),))
    _, (read, value, nothing) = csv.reader(StringIO(csv_tables([table]), newline=""))
    assert (read, float(value), nothing) == (name, number, "")
