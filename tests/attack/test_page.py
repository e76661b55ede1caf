"""The page of what was attacked says what the attack tests note, and nothing else."""

import ast
import re

import pytest

from attack.page import BEGIN, END, filled, read_notes, read_rows, render
from attack.record import record
from tiny import REPOSITORY

PAGE = REPOSITORY / "docs" / "robustness.md"
NOTING = ("record", "settle")
"""Functions of attack tests whose first argument names what is tried."""


def names_in(source):
    """Patterns of the names that a test file notes: literals, or f-strings with anything in their gaps."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    for call in calls:
        if getattr(call.func, "id", None) in NOTING and isinstance(call.args[0], ast.Constant | ast.JoinedStr):
            parts = getattr(call.args[0], "values", [call.args[0]])
            yield "".join(re.escape(part.value) if isinstance(part, ast.Constant) else ".+" for part in parts)


def test_every_attack_has_its_row_and_every_row_its_attack():
    """Whoever adds, renames or removes an attack makes the page anew: `make robustness`."""
    here = [path for path in (REPOSITORY / "tests").rglob("test_*.py") if path.name != "test_page.py"]
    patterns = {name for path in here for name in names_in(path.read_text(encoding="utf-8"))}
    rows = [attack for attack, _, _ in read_rows(PAGE.read_text(encoding="utf-8"))]
    missing = [pattern for pattern in patterns if not any(re.fullmatch(pattern, row) for row in rows)]
    strange = [row for row in rows if not any(re.fullmatch(pattern, row) for pattern in patterns)]
    assert (missing, strange) == ([], [])
    assert len(rows) == len(set(rows))


def test_names_are_found_in_the_source_of_tests():
    """As literals and as f-strings."""
    source = (
        'record("plain (all)", tried=1, held=1)\nsettle(f"disk: {kind}!", found)\nother("no")\nrecord(name, tried=1)'
    )
    assert list(names_in(source)) == [r"plain\ \(all\)", r"disk:\ .+!"]


def test_nothing_on_the_page_failed():
    """What did not hold is mended before the page is written."""
    assert [row for row in read_rows(PAGE.read_text(encoding="utf-8")) if not 0 < row[1] == row[2]] == []


def test_notes_become_rows(tmp_path, monkeypatch):
    """Notes of one name are added up; the table replaces the one before, and the text around it stays."""
    notes = tmp_path / "notes.jsonl"
    monkeypatch.setenv("LINGRAFT_ATTACK_RECORD", str(notes))
    record("bits", tried=1200, held=1199)
    record("alphabets", tried=2, held=2)
    record("bits", tried=100, held=100)
    rows = read_notes(notes)
    assert rows == [("alphabets", 2, 2), ("bits", 1300, 1299)]

    page = filled(f"before\n{BEGIN}\nold\n{END}\nafter\n", render(rows, "abc1234"))
    assert read_rows(page) == rows
    assert page.startswith(f"before\n{BEGIN}\n\nAt revision abc1234:")
    assert page.endswith(f"| bits | 1,300 | 1,299 |\n\n{END}\nafter\n")
    assert filled(page, render(rows, "abc1234")) == page


@pytest.mark.parametrize("place", ["", None])
def test_without_a_file_nothing_is_noted(tmp_path, monkeypatch, place):
    """As in everybody's own test runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LINGRAFT_ATTACK_RECORD", raising=False)
    if place is not None:
        monkeypatch.setenv("LINGRAFT_ATTACK_RECORD", place)
    record("bits", tried=1, held=1)
    assert list(tmp_path.iterdir()) == []
