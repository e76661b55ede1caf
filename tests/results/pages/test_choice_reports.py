"""The reports of a choice of sources and of a search of settings say what the records say."""

import csv
from dataclasses import replace

import pytest

from invented_choices import SOURCES, invented_choice, invented_search
from lingraft.results.findings import Estimate
from lingraft.results.pages.experiment_page import files_of, write_report
from lingraft.results.pages.source_choice_markdown import sources_page
from lingraft.results.pages.source_choice_report import PAGE, source_choice_report
from lingraft.results.pages.tuning_markdown import tuning_page
from lingraft.results.pages.tuning_report import tuning_report
from report_page import Page

YAML = "train:\n  learning_rate: 0.002\n"


def rows_of(path):
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def told(report, folder, page="report.html"):
    """The page of a report in a folder."""
    write_report(report, folder, command="lingraft x 'a <b>'", page=page)
    return Page(folder / page)


def test_a_choices_csv_has_the_numbers_of_its_records(tmp_path):
    """Every digit, a row for each candidate of each target."""
    found = invented_choice()
    told(source_choice_report(found), tmp_path, PAGE)
    rows = rows_of(tmp_path / "sources.csv")
    every = [(ranking.language, one) for ranking in found.rankings for one in ranking.candidates]
    assert len(rows) == len(every) == 16
    for row, (target, one) in zip(rows, every, strict=True):
        assert (row["target"], row["source_language"], row["source"]) == (target, one.language, one.name)
        keys = ("mean_rank", "labelled_examples", "tokens", "genetic", "score", "score_low", "score_high")
        score = one.score
        values = [one.place, one.labels, one.measures["tokens"], one.measures["genetic"], score.value, score.low,
                  score.high]  # fmt: skip
        assert [float(row[key]) for key in keys] == values
        assert row["difference"] == ("" if one.ahead is None else repr(one.ahead.mean))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files_of("sources", PAGE))


def test_a_choices_page_has_the_tables_of_the_markdown_page(tmp_path):
    """Ranks and scores to sort by; what each measure is right by; what several give together; the lines to copy."""
    found = invented_choice()
    page, markdown = told(source_choice_report(found), tmp_path, PAGE), sources_page(found)
    first = found.rankings[0]
    shown = page.values("source", "labelled examples", "mean rank")
    assert {name: float(row[2]) for name, row in shown.items()} == {one.name: one.place for one in first.candidates}
    right = page.values("measure", "correlation")
    assert {name: float(row[1]) for name, row in right.items()} == {
        name: one.value for name, one in first.correlations.items()
    }
    assert float(next(iter(page.values("sources", "accuracy").values()))[1]) == first.joint[0].score.value
    assert f"source_language: [{', '.join(found.offered)}]" in page.text
    for one in first.candidates:
        assert f"| {one.name} | {one.labels} | {one.place:.1f} |" in markdown
    assert page.text.count("<svg") == 2 * (2 + len(first.correlations))
    assert "lingraft x &#39;a &lt;b&gt;&#39;" in page.text


@pytest.mark.parametrize(("value", "said"), [(0.3, ": further languages took from it."), (0.9, "together. No score")])
def test_what_several_sources_gave_is_said_beside_the_lines_that_offer_them(value, said):
    """With the score of the first alone, over the targets where both are known; also where several are worse."""
    found = invented_choice()
    first, other = found.rankings
    alone = next(one.score.value for one in first.candidates if one.language == found.offered[0])
    joint = replace(first.joint[0], score=Estimate(value))
    told = sources_page(replace(found, rankings=(replace(first, joint=(joint,)), other)))
    numbers = f"accuracy {100 * alone:.1f} % with the first alone, {100 * value:.1f} % with the first 2 together"
    assert f"On the test sets, mean over 1 target, frozen heads have {numbers}" in told
    assert said in told
    assert "than the first alone is not known" in sources_page(invented_choice(scored=False))


def test_without_scores_a_choices_page_says_nothing_of_being_right(tmp_path):
    """And draws ranks alone."""
    page = told(source_choice_report(invented_choice(scored=False)), tmp_path)
    assert page.text.count("<svg") == 2
    assert "How right" not in page.text and "together for" not in page.text
    assert set(page.values("source", "labelled examples")) == set(SOURCES.values())


def test_the_recipes_own_source_is_drawn_wherever_it_comes(tmp_path):
    """Beside the first twenty; the table has all."""
    sources = {f"x{i:02}-Latn": f"no. {i}" for i in range(30)} | {"eng-Latn": "English"}
    found = invented_choice(scored=False, sources=sources)
    page = told(source_choice_report(found), tmp_path)
    chart = page.text.partition("<svg")[2].partition("</svg>")[0]
    assert chart.count(">no. ") == 20 and chart.count(">English<") == 1
    assert "the first 20 of 31, and English" in page.text
    assert len(page.values("source", "labelled examples")) == 31


def test_a_searchs_csv_has_the_numbers_of_its_records(tmp_path):
    """A row for each trial, with its settings; one that failed has no score."""
    found = invented_search()
    page = told(tuning_report(found, YAML), tmp_path)
    rows = rows_of(tmp_path / "tune.csv")
    assert len(rows) == len(found.tried) == 24
    for row, one in zip(rows, found.tried, strict=True):
        assert (row["trial"], float(row["seconds"])) == (one.name, one.seconds)
        assert float(row["train.learning_rate"]) == one.values["train.learning_rate"]
        assert row["adapter.name"] == one.values["adapter.name"]
        score = (
            ["", "", ""] if one.score is None else [repr(x) for x in (one.score.value, one.score.low, one.score.high)]
        )
        assert [row["score"], row["score_low"], row["score_high"]] == score
    shown = page.values("trial", "score")
    assert [float(row[1]) for row in shown.values() if row[1]] == [one.score.value for one in found.tried if one.score]
    assert (tmp_path / "tune.tex").read_text(encoding="utf-8").count(r"trial-0") == 24


def test_a_searchs_page_shows_what_was_chosen_and_what_matters(tmp_path):
    """Trials sorted and in their order, a chart for each setting that varied, the settings to copy."""
    shares = {"train.learning_rate": 0.75, "prompt.length": 0.15, "adapter.name": 0.07, "train.weight_decay": 0.03}
    found = invented_search(shares=shares)
    page, markdown = told(tuning_report(found, YAML), tmp_path), tuning_page(found, YAML)
    assert YAML in page.text and YAML in markdown
    assert {name: float(row[1]) for name, row in page.values("setting", "share").items()} == shares
    assert page.text.count("<svg") == 2 + 1 + len(shares)
    assert "What matters" in page.text and "| `prompt.length` | 15% |" in markdown
    assert "All trials are of lingraft 0.1.0, revision c0ffee1." in page.text


@pytest.mark.parametrize("trials", [1, 2])
def test_of_few_trials_nothing_is_said_to_matter(tmp_path, trials):
    """Nor is a setting drawn that did not vary."""
    found = invented_search(trials=trials, failed=(), shares={}, settings={"prompt.length": [4, 8]})
    page = told(tuning_report(found, YAML), tmp_path)
    assert "What matters" not in page.text
    assert page.text.count("<svg") == (2 if len({one.values["prompt.length"] for one in found.tried}) == 1 else 3)


HOSTILE = "a_<b>&|100%"


def test_names_are_text_everywhere(tmp_path):
    """Of languages, tasks, settings and values."""
    names = {"eng-Latn": f"English {HOSTILE}", "fra-Latn": "French", "hin-Deva": "Hindi"}
    page = told(source_choice_report(invented_choice(sources=names, task=f"t {HOSTILE}")), tmp_path)
    assert "<b>" not in page.text and f"English {HOSTILE}" in page.values("source", "labelled examples")
    settings = {"adapter.name": [HOSTILE, "lora"]}
    page = told(tuning_report(invented_search(settings=settings, task=HOSTILE), YAML), tmp_path)
    assert "<b>" not in page.text
    assert HOSTILE in {row["adapter.name"] for row in rows_of(tmp_path / "tune.csv")}
