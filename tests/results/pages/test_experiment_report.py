"""The report of an experiment and its tables say what the records say, whatever the names are."""

import csv
from dataclasses import replace
from types import SimpleNamespace

import pytest

from invented_comparison import invented_comparison
from lingraft.results.comparison import blocks
from lingraft.results.experiment_tables import comparison_table
from lingraft.results.pages.comparison_markdown import page_text
from lingraft.results.pages.experiment_page import files_of, write_report
from lingraft.results.pages.experiment_report import (
    comparison_report,
    shot_curve_report,
    stability_report,
)
from lingraft.results.shot_curve import read_shot_curve
from lingraft.results.stability import read_stability
from report_page import Page


def rows_of(path):
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison with no labels and with five, two draws, told."""
    found = invented_comparison(tmp_path_factory.mktemp("compared"), shots=(0, 5), draws=2, texts=24)
    tables = blocks(found)
    write_report(comparison_report(tables, found), found.folder, command="lingraft compare a.yaml 'task.name=<x>'")
    return SimpleNamespace(
        folder=found.folder, blocks=tables, page=Page(found.folder / "report.html"), comparison=found
    )


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """A study of two draws, two seeds and two orders, told."""
    found = invented_comparison(tmp_path_factory.mktemp("studied"), draws=2, seeds=2, orders=2, texts=24)
    studies = read_stability(found)
    write_report(stability_report(studies, blocks(found), found), found.folder, command=None)
    return SimpleNamespace(folder=found.folder, studies=studies, page=Page(found.folder / "report.html"))


@pytest.fixture(scope="module")
def curved(tmp_path_factory):
    """A curve over three numbers of labels, told."""
    methods = {"lingraft": 0.7, "lingraft-0-pairs": 0.5, "frozen-head": 0.6}
    found = invented_comparison(tmp_path_factory.mktemp("curved"), shots=(0, 2, 8), methods=methods, texts=24)
    curve = read_shot_curve(found)
    write_report(shot_curve_report(curve, blocks(found), found), found.folder, command=None)
    return SimpleNamespace(folder=found.folder, curve=curve, page=Page(found.folder / "report.html"))


def test_a_comparison_s_csv_has_the_numbers_of_its_records(compared):
    """Every digit, a row for each method of each block."""
    rows = rows_of(compared.folder / "compare.csv")
    found = [(block, result) for block in compared.blocks for result in block.results]
    assert len(rows) == len(found) == 8
    for row, (block, result) in zip(rows, found, strict=True):
        assert (row["shots"], row["trials"], row["method"]) == (str(block.shots), "2", result.name)
        numbers = [float(row[key]) for key in ("mean", "mean_low", "mean_high", "worst", "seconds")]
        mean = result.mean
        worst = min(one.value for one in result.languages.values())
        assert numbers == [mean.value, mean.low, mean.high, worst, result.seconds]
        apart = result.difference
        expected = ["", ""] if apart is None else [repr(apart.mean), repr(result.p_value)]
        assert [row["difference"], row["p"]] == expected


def test_a_comparison_s_latex_has_the_cells_of_its_table(compared):
    """Under the title of each block."""
    text = (compared.folder / "compare.tex").read_text(encoding="utf-8")
    for block in compared.blocks:
        for row in comparison_table(block, compared.comparison).texts:
            cells = [cell.replace("%", r"\%").replace("\u00a0", "~").replace("-", "$-$") for cell in row[1:4]]
            assert f"{row[0]} & {cells[0]} & {cells[1]} & {cells[2]} &" in text
    assert text.count("\\midrule") == 2
    assert "5 shots per label in the target language: 2 trials a method" in text


def test_a_page_sorts_by_the_numbers_of_the_records(compared):
    """Means, and scores of languages."""
    first = compared.blocks[0]
    means = compared.page.values("method", "mean")
    assert {name: float(row[1]) for name, row in means.items()} == {r.name: r.mean.value for r in first.results}
    languages = compared.page.values("method", "Yoruba", "Ayacucho Quechua", "Igbo")
    for result in first.results:
        assert [float(one) for one in languages[result.name][1:]] == [one.value for one in result.languages.values()]


def test_a_page_says_revision_and_command_and_who_wins(compared):
    """As the Markdown page does; what was typed is text."""
    assert "All trials are of lingraft 0.1.0, revision c0ffee1." in compared.page.text
    assert "lingraft compare a.yaml &#39;task.name=&lt;x&gt;&#39;" in compared.page.text
    assert "<strong>k = 5: <code>lingraft</code>" in compared.page.text
    assert "Not possible: it is not installed." in compared.page.text


def test_a_study_s_tables_have_the_numbers_of_its_records(studied):
    """Means, worst trials and what the spread comes from, in CSV and on the page."""
    (study,) = studied.studies
    rows = {row["method"]: row for row in rows_of(studied.folder / "stability.csv")}
    spread = studied.page.values("method", "draws", "seeds", "orders", "draws × seeds")
    assert set(rows) == {one.name for one in study.methods} == set(spread)
    for one in study.methods:
        row = rows[one.name]
        keys = ("trials", "mean", "mean_low", "mean_high", "worst", "best", "standard_deviation", "failed")
        values = [8, one.mean.value, one.mean.low, one.mean.high, one.worst, one.best, one.deviation, one.failures]
        assert [float(row[key]) for key in keys] == values
        assert min(one.of_trials.values()) == one.worst
        parts = {part.factors: part.deviation for part in one.components}
        assert [float(value) for value in spread[one.name][1:4]] == [parts["draw",], parts["seed",], parts["order",]]


def test_a_curve_s_tables_have_the_numbers_of_its_records(curved):
    """And the differences are those of the reference."""
    rows = {row["method"]: row for row in rows_of(curved.folder / "shots.csv")}
    for one in curved.curve.curves:
        for k, point in one.points.items():
            keys = (f"k{k}", f"k{k}_low", f"k{k}_high")
            assert [float(rows[one.name][key]) for key in keys] == [point.value, point.low, point.high]
        assert len(one.of_trials) == 3
    shown = curved.page.values("method", "0", "2", "8")
    assert [float(one) for one in shown["lingraft"][1:]] == [
        point.value for one in curved.curve.curves if one.name == "lingraft" for point in one.points.values()
    ]
    assert curved.page.text.count("by number of labels, with 95 % intervals") == 3


def test_a_page_loads_nothing(compared, studied, curved):
    """Links lead to the files beside it and into itself."""
    for told, name in ((compared, "compare"), (studied, "stability"), (curved, "shots")):
        assert {one for one in told.page.loads if not one.startswith("#")} == set(files_of(name)[1:])
        assert "http://" not in told.page.text.replace("http://www.w3.org/", "")


HOSTILE = "a_<b>&|100%"


def test_names_are_text_everywhere(tmp_path):
    """Of methods, languages and tasks: in HTML, in charts, in LaTeX and in CSV."""
    found = invented_comparison(tmp_path, methods={"lingraft": 0.7, HOSTILE: 0.5}, texts=12, task=f"t {HOSTILE}")
    for language in found.about["data"]["languages"].values():
        language["name"] += HOSTILE
    write_report(comparison_report(blocks(found), found), found.folder, command=None)
    page = Page(tmp_path / "report.html")
    assert "<b>" not in page.text
    assert "a_&lt;b&gt;&amp;|100%" in page.text
    assert HOSTILE in page.values("method", "mean")
    assert r"a\_$<$b$>$\&$|$100\%" in (tmp_path / "compare.tex").read_text(encoding="utf-8")
    assert rows_of(tmp_path / "compare.csv")[1]["method"] == HOSTILE


def test_remarks_of_the_recipe_are_on_the_page_as_markdown(tmp_path):
    """Emphasis, lists and tables; tags are text, links are none, and nothing is loaded."""
    notes = ("Tried **twice**.", "By half:\n\n| half | n |\n|---|--:|\n| first | 12 |", "<b>no</b> [a](http://x.org)")
    found = replace(invented_comparison(tmp_path, texts=12), notes=notes)
    write_report(comparison_report(blocks(found), found), found.folder, command=None)
    page = Page(tmp_path / "report.html")
    assert "<strong>twice</strong>" in page.text
    assert [["half", None], ["n", None]] in [[["".join(cell), key] for cell, key in t[0]] for t in page.tables]
    assert "<b>no" not in page.text and "&lt;b&gt;no" in page.text
    assert not [one for one in page.loads if "x.org" in one]
    told = page_text(blocks(found), found, command="lingraft compare a.yaml")
    assert (
        told.index("\n- Tried **twice**.") < told.index("\n- By half:\n\n  | half | n |") < told.index("Generated by")
    )
