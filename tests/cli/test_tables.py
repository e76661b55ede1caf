"""Tables in narrow places."""

import io

import pytest

from lingraft.cli.compare import SHOWN
from lingraft.cli.tables import Column, print_table
from lingraft.core.terminal_text import Terminal

COLUMNS = [Column("language", justify="left"), Column("score"), Column("of the\nwhole", 2), Column("n", 1)]
ROWS = [["Nigerian Fulfulde", "0.612", "[0.550, 0.670]", "204"], ["[weird]", "0.7", "", "9"]]


def printed(width, columns=COLUMNS, rows=ROWS, title="a title"):
    """The lines of a table on a console of a width, trailing blanks left out."""
    console = Terminal(width=width, file=io.StringIO(), soft_wrap=True)
    print_table(title, columns, rows, console)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_table_with_room_has_all_columns():
    """Nothing is said of room; what looks like markup is text."""
    lines = printed(80)
    assert any(line.split() == ["Nigerian", "Fulfulde", "0.612", "[0.550,", "0.670]", "204"] for line in lines)
    assert any(line.split() == ["[weird]", "0.7", "9"] for line in lines)
    assert not any("want of room" in line for line in lines)


@pytest.mark.parametrize(("width", "told"), [(40, "of the whole"), (26, "of the whole, n")])
def test_what_matters_least_is_left_out_first(width, told):
    """No cell is broken, no line is longer than the place, and what is missing is said."""
    lines = printed(width)
    (note,) = (line for line in lines if line.startswith("left out for want of room:"))
    assert note.startswith(f"left out for want of room: {told};")
    table = lines[: lines.index(note)]
    assert max(map(len, table)) <= width
    assert any("Nigerian Fulfulde" in line and "0.612" in line for line in table)
    enough = int(note.partition("COLUMNS=")[2].split()[0])
    assert not any("want of room" in line for line in printed(enough))
    assert any("want of room" in line for line in printed(enough - 1))


def test_what_is_left_out_is_named_with_what_it_belongs_to():
    """Two columns of one heading are told apart; a heading that is broken in two is one word again."""
    headings = [("language", 0), ("frozen\nhead", 0), ("95 %", 3), ("gain", 0), ("95 %", 2), ("trun-\ncated", 1)]
    columns = [Column(heading, dispensable) for heading, dispensable in headings]
    note = printed(40, columns, [["Yoruba", "0.5", "[0.4, 0.6]", "+0.1", "[0.0, 0.2]", "0123456789"]])[-1]
    assert note.startswith("left out for want of room: 95 % of frozen head, 95 % of gain; ")
    assert printed(20, columns, [["Yoruba", "0.5", "", "+0.1", "", "0123456789"]])[-1].startswith(
        "left out for want of room: truncated; "
    )


def test_what_cannot_be_spared_is_never_left_out():
    """Its cells break instead, to the last character."""
    lines = printed(20, rows=[["xxxxxyyyyyzzzzz", "0.123456789012", "", ""]])
    assert "".join("".join(lines).split()).count("z") == 5
    assert not any("want of room" in line for line in lines)


def test_a_column_with_nothing_in_it_is_not_shown():
    """Nor said to be left out."""
    lines = printed(80, rows=[[*row[:2], "", row[3]] for row in ROWS])
    assert not any("whole" in line for line in lines)


@pytest.mark.parametrize("title", ["radio [2023/24] [/b]", "[old]", "\x1b[31m:smile:\x1b]0;x\x07"])
def test_a_title_is_shown_as_it_was_written(title):
    """Brackets and names of signs are text, and nothing steers the terminal."""
    assert printed(80, title=title)[0].strip() == title.replace("\x1b[31m", "").replace("\x1b]0;x\x07", "")


def test_the_width_of_the_environment_is_kept_to(monkeypatch):
    """``COLUMNS`` says how much room there is, also where the output is no terminal."""
    monkeypatch.setenv("COLUMNS", "57")
    assert Terminal(file=io.StringIO()).width == 57


def test_a_file_has_no_width(monkeypatch):
    """Whoever reads it has as much room as there is in it; a terminal is as wide as it is."""
    monkeypatch.delenv("COLUMNS", raising=False)
    file = Terminal(file=io.StringIO(), soft_wrap=True)
    print_table("", COLUMNS, [["x" * 300, "0.1", "y" * 300, "z" * 300]], file)
    assert any(line.split() == ["x" * 300, "0.1", "y" * 300, "z" * 300] for line in file.file.getvalue().splitlines())
    assert Terminal(file=io.StringIO(), force_terminal=True).width < 1_000


def test_a_comparison_fits_eighty_columns():
    """The longest names and intervals stay on one line; what is said less often is left out."""
    columns = [
        Column(heading, dispensable, "right" if dispensable else "left") for heading, dispensable in SHOWN.items()
    ]
    row = [
        "bottleneck-as-many-steps",
        "71.7 % [70.1, 73.4]",
        "-23.3 [-27.2, -19.1]",
        "< 0.0005",
        "117,765,985",
        "1.4 h",
    ]
    lines = printed(80, columns, [row], "k = 0, 10 trials a method")
    assert max(map(len, lines[:5])) <= 80
    assert any(all(cell in line for cell in row[:3]) for line in lines)
    assert any(line.startswith("left out for want of room: ") for line in lines)


def test_a_width_that_is_set_is_kept_to():
    """Also where there is no terminal, at the start or later."""
    console = Terminal(file=io.StringIO(), width=70)
    assert console.width == 70
    console.size = (50, 20)
    assert console.size == (50, 20)
