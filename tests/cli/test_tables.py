"""Tables in narrow places."""

import io

import pytest
from rich.console import Console

from lingraft.cli.tables import Column, print_table

COLUMNS = [Column("language", justify="left"), Column("score"), Column("of the\nwhole", 2), Column("n", 1)]
ROWS = [["Nigerian Fulfulde", "0.612", "[0.550, 0.670]", "204"], ["[weird]", "0.7", "", "9"]]


def printed(width, columns=COLUMNS, rows=ROWS):
    """The lines of a table on a console of a width, trailing blanks left out."""
    console = Console(width=width, file=io.StringIO(), soft_wrap=True)
    print_table("a title", columns, rows, console)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_table_with_room_has_all_columns():
    """Nothing is said of room; what looks like markup is text."""
    lines = printed(80)
    assert any(line.split() == ["Nigerian", "Fulfulde", "0.612", "[0.550,", "0.670]", "204"] for line in lines)
    assert any(line.split() == ["[weird]", "0.7", "9"] for line in lines)
    assert not any("no room" in line for line in lines)


@pytest.mark.parametrize(("width", "told"), [(40, "of the whole"), (26, "of the whole, n")])
def test_what_matters_least_is_left_out_first(width, told):
    """No cell is broken, no line is longer than the place, and what is missing is said."""
    lines = printed(width)
    (note,) = (line for line in lines if line.startswith("no room for"))
    assert note.startswith(f"no room for {told};")
    table = lines[: lines.index(note)]
    assert max(map(len, table)) <= width
    assert any("Nigerian Fulfulde" in line and "0.612" in line for line in table)


def test_what_cannot_be_spared_is_never_left_out():
    """Its cells break instead, to the last character."""
    lines = printed(20, rows=[["xxxxxyyyyyzzzzz", "0.123456789012", "", ""]])
    assert "".join("".join(lines).split()).count("z") == 5
    assert not any("no room" in line for line in lines)


def test_a_column_with_nothing_in_it_is_not_shown():
    """Nor said to be left out."""
    lines = printed(80, rows=[[*row[:2], "", row[3]] for row in ROWS])
    assert not any("whole" in line for line in lines)
