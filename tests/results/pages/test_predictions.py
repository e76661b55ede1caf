"""What a report holds of a run's predictions: which, how much of each, and what it says of the others."""

import json
from html import unescape

import pytest

from invented_run import LABELS, write_lines, write_object, write_run
from lingraft.results.pages import write_page
from lingraft.results.pages.predictions import LONGEST, describe_kept, predictions_of, searched
from lingraft.results.run_files import is_right, read_run

EVIL = "</script><script>window.evil = 1</script><!-- <img src=x onerror='window.evil = 2'> ` | \u2028 & &amp; \\"


@pytest.fixture
def folder(tmp_path):
    """A run of one trial in two languages."""
    return write_run(tmp_path / "run", draws=1, seeds=1, texts=60)


def rows_of(folder, language="yor-Latn"):
    """The lines of a language's only file of predictions, and its path."""
    (path,) = folder.glob(f"predictions/*/{language}.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()], path


def data_of(page):
    """What the page's script reads, by the rules that a browser has for the end of a script."""
    text = page.read_text(encoding="utf-8")
    return json.loads(text.split('<script type="application/json" id="searched">')[1].split("</script")[0])


def test_a_page_holds_every_prediction(folder):
    """Texts, answers, confidence and the frozen head's answer, with what was right."""
    rows = {code: rows_of(folder, code)[0] for code in ("yor-Latn", "eng-Latn")}
    found = data_of(write_page(folder, "report.html"))

    assert found["languages"] == ["Yoruba", "English"]
    expected = [
        [n, [row["text"]], row["gold"], row["value"], row["confidence"], row["before"],
         row["value"] == row["gold"], row["before"] == row["gold"]]
        for n, code in enumerate(rows) for row in rows[code]
    ]  # fmt: skip
    assert sorted(found["lines"], key=str) == sorted(expected, key=str)
    order = [(line[6], line[4] if line[6] else -line[4]) for line in found["lines"]]
    assert order == sorted(order)


@pytest.mark.parametrize("most", [3, 40])
def test_what_does_not_fit_is_left_out_and_counted(folder, most):
    """Mistakes go before right answers, the surest before others; then the least sure of the right ones."""
    rows, _ = rows_of(folder)
    wrong = sorted((row for row in rows if not is_right(row)), key=lambda row: -row["confidence"])
    right = sorted(filter(is_right, rows), key=lambda row: row["confidence"])
    (yoruba, english) = predictions_of(read_run(folder), most=most)

    assert [row["id"] for row in yoruba["kept"]] == [row["id"] for row in (wrong + right)[:most]]
    assert (yoruba["n"], yoruba["wrong"]) == (60, len(wrong))
    assert 3 < len(wrong) < 40
    which = {
        3: f"the 3 surest of {len(wrong)} mistakes",
        40: f"all {len(wrong)} mistakes and the least sure of the right answers",
    }
    assert describe_kept(yoruba) == f"Of the 60 predictions for Yoruba this page holds {most}: {which[most]}."
    assert len(searched([yoruba, english])["lines"]) == 2 * most


def test_all_languages_share_what_a_page_can_hold(folder):
    """Else a run of a hundred languages would make a page that nobody can open."""
    assert [len(part["kept"]) for part in predictions_of(read_run(folder), most_of_all=50)] == [25, 25]
    assert [describe_kept(part) for part in predictions_of(read_run(folder))] == ["", ""]


def test_many_long_texts_make_a_small_page(tmp_path):
    """Texts are cut, and what is left out is said on the page."""
    folder = write_run(tmp_path / "run", draws=1, seeds=1, texts=2_400)
    for language in ("yor-Latn", "eng-Latn"):
        rows, path = rows_of(folder, language)
        write_lines(path, [row | {"text": f"ọ{number} " + "lọ́ru " * 2_000} for number, row in enumerate(rows)])

    page = write_page(folder, "report.html")

    assert len(data_of(page)["lines"]) == 4_000
    assert {len(line[1][0]) for line in data_of(page)["lines"]} == {LONGEST}
    assert all(line[1][0].endswith("…") for line in data_of(page)["lines"])
    assert page.stat().st_size < 4e6
    assert "Of the 2,400 predictions for Yoruba this page holds 2,000: all" in page.read_text(encoding="utf-8")


def test_a_text_cannot_leave_the_data_of_the_script(folder):
    """It is in the page as data and as a cell, each time as what it is."""
    rows, path = rows_of(folder)
    evil = {"text": EVIL, "text_b": "\u202e\x1b[31mb", "gold": EVIL, "value": "music", "right": 0.0, "confidence": 1.0}
    write_lines(path, [rows[0] | evil, *rows[1:]])
    write_object(folder / "data.json", json.loads((folder / "data.json").read_text(encoding="utf-8")) | {"task": EVIL})

    page = write_page(folder, "report.html")
    first = data_of(page)["lines"][0]

    assert first[:4] == [0, [EVIL, "\u202eb\u202c"], EVIL, "music"]
    text = page.read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 2
    assert "<!--" not in text
    assert "<img" not in text
    assert f'<td class="text" dir="auto">{EVIL}<br>' in unescape(text)


def test_answers_of_several_kinds_are_in_words(folder):
    """Alternatives by what they say, several right answers, and that there is none."""
    for path in folder.glob("predictions/*/*.jsonl"):
        row = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
        choice = {"alternatives": ["rain", "sun"], "gold": "1", "value": "0", "before": "1"}
        write_lines(path, [
            row | choice | {"id": "a", "right": 0.0, "before_right": 1.0, "text_b": None},
        ])  # fmt: skip
    (one, _) = predictions_of(read_run(folder))
    assert searched([one])["lines"][0][2:4] == ["sun", "rain"]
    assert searched([one])["lines"][0][5:] == ["sun", False, True]
    for path in folder.glob("predictions/*/*.jsonl"):
        row = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
        write_lines(path, [row | {"alternatives": None, "gold": ["Àkúrẹ́", "Ondo"], "value": "", "before": None}])
    (one, _) = predictions_of(read_run(folder))
    assert searched([one])["lines"][0][2:4] == ["Àkúrẹ́ / Ondo", "(none)"]
    assert searched([one])["lines"][0][5:] == [None, False, False]


def test_of_many_classes_those_in_mistakes_are_drawn(tmp_path):
    """As many as can be read; the page says so, and its filters have them all."""
    folder = write_run(tmp_path / "run", draws=1, seeds=1)
    data = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    unseen = [f"unseen {number}" for number in range(70)]
    write_object(folder / "data.json", data | {"classes": [*unseen, *LABELS]})

    page = write_page(folder, "report.html").read_text(encoding="utf-8")

    assert page.count("Of 75 classes the 40 that are most often in mistakes, gold or predicted.") == 2
    assert page.count(">unseen 69</option>") == 2
    assert ">unseen 69</text>" not in page
    assert ">harvest</text>" in page
