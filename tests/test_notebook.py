"""The notebook of the documentation: its code runs, and gives what stands below it."""

import ast
import json
import re

import pytest

from tiny import REPOSITORY

CELLS = [
    cell
    for cell in json.loads((REPOSITORY / "docs" / "tour.ipynb").read_text(encoding="utf-8"))["cells"]
    if cell["cell_type"] == "code"
]


def shown(cell):
    """What stands below a cell."""
    return "".join("".join(one.get("text") or one["data"]["text/plain"]) for one in cell["outputs"])


def test_the_notebook_is_executed_from_top_to_bottom():
    """Each cell has an output, and nothing in them is of the machine that they were made on."""
    assert [cell["execution_count"] for cell in CELLS] == [1, 2, 3, 4, 5]
    assert all(shown(cell) for cell in CELLS)
    assert [cell for cell in CELLS if re.search(r"Error|Warning|/home/|/tmp/|site-packages", shown(cell))] == []


def test_the_notebook_and_the_demo_tell_the_same():
    """Both are names in Yoruba in closed form: where one was made again, so must be the other, which README shows."""
    lines = (REPOSITORY / "docs" / "results" / "demo" / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    demo = {
        (row["language"], {"instant": "lingraft"}.get(row["method"], row["method"])): row["value"]
        for row in map(json.loads, lines)
        if row["metric"] == "accuracy" and row["method"] != "lingraft"
    }
    told = re.findall(r"^(\S+) +(\S+) +(0\.\d{3}) ", shown(CELLS[1]), re.MULTILINE)
    assert {(language, method): float(value) for language, method, value in told} == pytest.approx(demo, abs=0.015)


@pytest.mark.checkpoint
def test_code_of_the_notebook_gives_its_outputs(e5, tmp_path, monkeypatch, capsys):
    """The files of the run; scores within 1.5 points, for another processor rounds otherwise; the same first answer."""
    monkeypatch.chdir(tmp_path)
    names, printed = {}, []
    for cell in CELLS:
        exec(compile("".join(cell["source"]), "tour.ipynb", "exec"), names)
        printed.append(capsys.readouterr().out)
    values = [[float(number) for number in re.findall(r" (0\.\d{3}) ", text)] for text in (printed[1], shown(CELLS[1]))]
    assert len(values[0]) == 4
    assert values[0] == pytest.approx(values[1], abs=0.015)
    assert sorted(path.name for path in names["folder"].iterdir()) == ast.literal_eval(shown(CELLS[0]))
    assert printed[2].split()[0] == shown(CELLS[2]).split()[0] == "language"
