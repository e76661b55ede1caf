"""The report and the model card say what the files of a run folder say, and load nothing."""

import base64
import hashlib
import json
import re
from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from invented_run import write_lines, write_object, write_run
from lingraft.core.errors import RunError
from lingraft.results import charts
from lingraft.results.findings import results
from lingraft.results.pages import LAST, pages, write_page, write_pages
from lingraft.results.pages.run_markdown import write_results_page
from lingraft.results.run_files import read_run


@pytest.fixture(autouse=True, scope="module")
def _equal_charts_once():
    """Draw a chart of the same data once for all pages; drawing takes longer than everything else on them."""
    drawn = {}

    def once(name, draw):
        def recalled(*data, **style):
            key = name, repr(data), repr(style)
            if key not in drawn:
                drawn[key] = draw(*data, **style)
            return drawn[key]

        return recalled

    with pytest.MonkeyPatch.context() as patch:
        for name, draw in vars(charts).copy().items():
            if hasattr(draw, "__wrapped__"):  # what gives an SVG
                patch.setattr(charts, name, once(name, draw))
        yield


def write_report(folder):
    """The report of a run folder."""
    return write_page(folder, "report.html")


def write_model_card(folder):
    """Its model card."""
    return write_page(folder, "README.md")


def change(path, **values):
    """Replace some values of a JSON file."""
    write_object(path, json.loads(path.read_text(encoding="utf-8")) | values)


def plain(path):
    """The file's text with ordinary spaces."""
    return path.read_text(encoding="utf-8").replace("\u00a0", " ")


class Page(HTMLParser):
    """Remembers what a page loads and which elements stay open."""

    VOID = frozenset({"meta", "br", "link", "img", "input"})

    def __init__(self):
        super().__init__()
        self.loads, self.open, self.problems, self.ids = [], [], [], []

    def handle_starttag(self, tag, attributes):
        """Note what the element loads, and that it is open."""
        self.loads += [value for key, value in attributes if key in ("src", "href", "xlink:href", "data", "action")]
        self.ids += [value for key, value in attributes if key == "id"]
        if tag in ("link", "img", "iframe"):
            self.problems.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        """An element without content opens and closes at once."""
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        """Only the element opened last may be closed."""
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"/{tag}")


def parsed(path):
    """The page as a browser would read it."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page


@pytest.fixture
def run(tmp_path):
    """A finished run with one target language."""
    return write_run(tmp_path / "run")


def test_values_of_the_files_reach_the_page(run):
    """Accuracy, interval, counts, digest, recipe and citation are those of the files."""
    only = next(result for result in results(read_run(run)) if result.language == "yor-Latn")
    text = plain(write_report(run))

    # Rounded to whole numbers, the difference of the two would not be the difference that is told.
    assert f"Yoruba: {100 * only.before.value:.1f} % → {100 * only.after.value:.1f} % accuracy" in text
    assert f"[{100 * only.after.low:.1f}, {100 * only.after.high:.1f}] on 120 texts never seen in training" in text
    for expected in (
        "117.7 M",
        "98,688",
        "sha256:5f1c0a",
        "shots: {k: 5, draws: 3}",
        "@misc{invented",
        "4 min 12 s of computing states and training, with lingraft 0.1.0",
        "train 3 min 7 s · evaluate 12.4 s. Loading, scoring and the checks at the end are not counted.",
        "3.1e-07",
    ):
        assert expected in text
    assert "3 training texts, 11 parallel pairs" in text
    assert "3 draws × 2 seeds" in text


def test_page_loads_nothing(run):
    """No resource comes from anywhere but the page itself; its only script is ours, named by its digest."""
    page = parsed(write_report(run))

    assert all(target.startswith("#") for target in page.loads)
    assert not page.problems
    assert "@import" not in plain(run / "report.html")
    assert "url(http" not in plain(run / "report.html")
    data, script = re.findall(r"<script([^>]*)>(.*?)</script>", (run / "report.html").read_text(encoding="utf-8"), re.S)
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', plain(run / "report.html"))
    assert (data[0], script[0]) == (' type="application/json" id="searched"', "")
    assert policy.split("; ")[:2] == ["default-src 'none'", f"script-src 'sha256-{digest}'"]


def test_page_is_well_formed(run):
    """Every element is closed, and no identifier occurs twice."""
    page = parsed(write_report(run))

    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    for part in plain(run / "report.html").split("<svg")[1:]:
        ElementTree.fromstring("<svg" + part.partition("</svg>")[0] + "</svg>")


def test_same_files_same_bytes(tmp_path):
    """Two runs with the same files give the same page and the same card."""
    first, second = (write_run(tmp_path / name / "run") for name in ("a", "b"))

    assert write_report(first).read_bytes() == write_report(second).read_bytes()
    assert write_model_card(first).read_bytes() == write_model_card(second).read_bytes()


def test_text_is_escaped(run):
    """Text from data never becomes markup, in the page or in its charts."""
    path = run / "predictions" / "k5-draw2-seed2" / "yor-Latn.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[0] |= {
        "text": "<script>alert('ọ')</script>",
        "gold": "<b>",
        "value": "music",
        "confidence": 0.99,
        "right": 0.0,
    }
    write_lines(path, rows)
    change(run / "data.json", notes=["<img src=x>"])

    text = plain(write_report(run))

    assert text.count("<script") == text.count("</script>") == 2
    assert "&lt;script&gt;" in text
    assert "<img" not in text
    assert parsed(run / "report.html").problems == []


def test_how_files_are_laid_out_is_said_of_the_data_and_is_no_limit(run):
    """What separates cells limits nothing; answers that are longer than can be given do."""
    note, limit = "train.csv: cells are separated by semicolons", "eng-Latn test set: 2 of 9 answers are longer"
    change(run / "data.json", notes=[note], limits=[limit])
    card = write_model_card(run).read_text(encoding="utf-8")
    parts = {part.partition("\n")[0]: part.splitlines() for part in card.split("\n## ")}
    assert f"- {note}" in parts["Data"]
    assert f"- {limit}" in parts["Limits"]
    assert not any(note in line for line in parts["Limits"])
    assert not any(limit in line for line in parts["Data"])
    report = write_report(run).read_text(encoding="utf-8")
    assert f"<p>{note}</p>" in report
    assert f"<p>{limit}</p>" in report


HOSTILE = "<script>alert(1)</script> [x](javascript:y) *b* | \x1b[31m\n---\n# c"


def test_what_people_wrote_is_shown_as_it_is_in_the_model_card(run):
    """Title, labels, licence, citation, names and notes are text, in front matter and below it."""
    change(
        run / "data.json",
        task=HOSTILE,
        labels=[HOSTILE, "plain"],
        licence=HOSTILE,
        notes=[HOSTILE],
        citation=f"```\n{HOSTILE}",
    )
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    change(run / "summary.json", backbone=summary["backbone"] | {"name": f"`{HOSTILE}", "licence": HOSTILE})

    card = write_model_card(run).read_text(encoding="utf-8")
    front, _, below = card.removeprefix("---\n").partition("\n---\n")
    page = MarkdownIt("commonmark").enable("table").render(below)

    assert YAML(typ="safe").load(front)["license"] == "script-alert-1-script-x-javascript-y-b-c"
    assert "<script" not in front
    assert "base_model" not in front
    assert "\x1b" not in card
    assert "<script" not in page
    assert 'href="javascript' not in page
    assert "<em>b</em>" not in page
    assert "<h1>c" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt; [x](javascript:y) *b* |") == 7
    assert page.count("<h2>") == plain(run / "README.md").count("\n## ")


def test_names_and_warnings_of_a_run_are_text_in_the_model_card(run):
    """What languages, parts and losses are called, what is said of the words of a kind, and what a trial warned of."""
    evil = f"<img src=x onerror=alert(1)>{HOSTILE}\u202e ``x`` </script>"
    data = json.loads((run / "data.json").read_text(encoding="utf-8"))
    data["languages"]["yor-Latn"]["name"] = evil
    change(run / "data.json", languages=data["languages"], words=data["words"] | {"limit": evil, "example": evil})
    part = {"part": evil, "name": evil, "count": 1, "trained": True}
    change(run / "summary.json", parameters=[part])
    enrich(run, warnings=lambda row: [evil] if row["step"] == 12 else [], trained=[evil])

    card = write_model_card(run).read_text(encoding="utf-8")
    page = MarkdownIt("commonmark").enable("table").render(card.partition("\n---\n")[2])

    assert page.count("&lt;img src=x") >= 10
    assert not re.search(r"<(img|script)\b", page)
    assert set(re.findall(r'href="([^"]*)"|<em>([^<]*)', page)) == {("#how-to-use", ""), ("", "Before"), ("", "After")}
    assert re.findall(r"<h2>([^<]*)</h2>", page) == ["How to use", "Results", "Data", "Training", "Limits", "Citation"]
    assert {line.count("<td") for line in page.split("</tr>") if "<td" in line} == {3, 7, 9}
    assert card.count("\u202e") == len(re.findall("\u202e[^\u202c]{,25}\u202c", card)) >= 10


@pytest.mark.parametrize(
    ("gain", "words"), [(-0.2, "a loss"), (0.0, "no gain"), (0.05, "no clear gain"), (0.28, "over the frozen head")]
)
def test_headline_tells_gain_from_loss(tmp_path, gain, words):
    """A worse or an undecided result is said as plainly as a better one."""
    folder = write_run(tmp_path / "run", gain=gain)
    header = plain(write_report(folder)).partition("</header>")[0]

    assert words in header
    assert ("Prefer the frozen head" in header) == (gain < 0)
    assert ("frozen head may serve as well" in header) == (gain in (0.0, 0.05))


PARTS = ("states.json", "training.jsonl", "summary.json", "data.json", "recipe.yaml", "predictions", "scores.jsonl")


@pytest.mark.parametrize("missing", PARTS)
def test_a_missing_part_costs_one_line(run, missing):
    """Without one of its files the page is still whole, and says what it lacks."""
    (run / missing).rename(run.parent / "elsewhere")

    page = parsed(write_report(run))
    write_model_card(run)

    assert page.open == []
    assert 'class="missing"' in plain(run / "report.html")


def test_pages_speak_the_words_of_the_kind(run):
    """Nothing of a text or a label is left where the kind of task has other words."""
    words = {
        "example": "rating", "pipeline_tag": "text-ranking", "item": '{"review": "…"}', "file": "reviews.jsonl",
        "limit": "It always gives stars.", "baseline": "a head",
    }  # fmt: skip
    change(run / "data.json", words=words, classes=[])
    page, card = plain(write_report(run)), plain(write_model_card(run))
    for text in (page, card):
        assert "120 ratings never seen in training" in text
        assert "5 labelled ratings" in text
        assert "per label" not in text
    assert '<th scope="col">Rating</th>' in page
    assert "Confusion matrix" not in page
    for said in ("| Labelled ratings |", "Test ratings", 'predict([{"review": "…"}]', "predict FOLDER reviews.jsonl",
                 "- It always gives stars.", "pipeline_tag: text-ranking"):  # fmt: skip
        assert said in card


def test_classes_are_confused_also_where_the_metric_is_a_sum(run):
    """Who is taken for whom is asked where examples have one class each, however they are scored."""
    plainly = plain(write_report(run))
    for path in (run / "predictions").glob("*/*.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        sums = {"value": "counts", "before": "before_counts"}
        write_lines(path, [
            row | {column: [float(row[said] == row["gold"]), 1.0] for said, column in sums.items()} for row in rows
        ])  # fmt: skip
    assert plainly.count("Confusion matrix") == plain(write_report(run)).count("Confusion matrix") > 0


def test_an_empty_folder_has_a_report(tmp_path):
    """A run that has not written anything yet is told so."""
    assert "No scores yet" in plain(write_report(tmp_path))
    assert "no scores yet" in plain(write_model_card(tmp_path))


def test_all_pages_are_written_and_the_model_card_last(run):
    """A folder with a model card is a finished run, so nothing may be missing once it is there."""
    written = write_pages(run)
    assert {path.name for path in written} == set(pages) > {LAST}
    assert written[-1].name == LAST
    assert all(path.read_text(encoding="utf-8") for path in written)


def test_no_folder_is_an_error(tmp_path):
    """A wrong path is named."""
    with pytest.raises(RunError, match="elsewhere"):
        write_report(tmp_path / "elsewhere")


def test_a_broken_line_is_named(run):
    """A damaged file is reported with its line."""
    with (run / "scores.jsonl").open("a", encoding="utf-8") as file:
        file.write("{broken\n")

    with pytest.raises(RunError, match=r"scores\.jsonl:\d+"):
        write_report(run)


def test_warnings_are_shown(tmp_path):
    """Truncation, unknown tokens, few texts, poor calibration, a moved backbone and a licence are warned of."""
    folder = write_run(tmp_path / "run", texts=40, licence="CC BY-NC 4.0")
    data = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    data["languages"]["yor-Latn"]["unknown_rate"] = 0.071
    write_object(folder / "data.json", data)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    change(
        folder / "summary.json",
        backbone=summary["backbone"] | {"digest_after": "sha256:other"},
    )
    path = folder / "predictions" / "k5-draw2-seed2" / "yor-Latn.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    write_lines(path, [row | {"confidence": 0.4, "right": float(number < 32)} for number, row in enumerate(rows)])

    text = plain(write_report(folder)).partition("</header>")[0]

    for expected in ("4 Yoruba texts did not fit into 128 tokens", "7.1 %", "only 40 test texts",
                     "Yoruba: too cautious: it says 40 % where 80 % are right; do not read its",
                     "weights changed during training", "may not be used commercially"):  # fmt: skip
        assert expected in text
    assert "✗" in plain(folder / "report.html")


def test_several_languages_and_shots_are_counted(tmp_path):
    """With several languages the headline counts those that gained, at the shots that were saved."""
    folder = write_run(tmp_path / "run", targets=("yor-Latn", "quy-Latn"), shots=(2, 5), draws=2, seeds=1)
    text = plain(write_report(folder))

    assert "Accuracy rose in both languages" in text
    assert text.partition("</header>")[0].count("at 5 shots per label;") == 2
    assert "2 shots" in text


def test_one_unit_keeps_the_interval_of_its_score(tmp_path):
    """A single trial shows the bounds that evaluation computed."""
    folder = write_run(tmp_path / "run", draws=1, seeds=1)
    only = results(read_run(folder))[0]

    assert only.after.high - only.after.low == pytest.approx(0.16)
    assert "One draw of 5 shots per label and one seed" in plain(write_report(folder))


def test_model_card_front_matter_is_yaml(run):
    """The Hub reads languages, licence, base model, tags and metrics."""
    text = write_model_card(run).read_text(encoding="utf-8")
    front = YAML(typ="safe").load(text.split("---\n")[1])

    assert front["language"] == ["yor", "eng"]
    assert front["license"] == "other"
    assert front["license_name"] == "cc-by-sa-4.0-and-mit"
    assert front["base_model"] == "invented-small"
    assert front["metrics"] == ["accuracy", "f1"]
    assert front["pipeline_tag"] == "text-classification"
    assert 'language="yor-Latn"' in text
    assert "lingraft predict FOLDER" in text
    assert "| Yoruba | 5 |" in text


def test_model_card_and_report_say_what_gemma_s_terms_prescribe(run):
    """Who passes the model on passes the notice on; a licence that asks for no sentence has none."""
    notice = "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms"
    assert notice not in plain(write_model_card(run))
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    change(run / "summary.json", backbone=summary["backbone"] | {"licence": "gemma"})

    for page in (write_model_card(run), write_report(run)):
        assert f"Licence of the backbone: gemma ({notice})." in plain(page)
    front = YAML(typ="safe").load(write_model_card(run).read_text(encoding="utf-8").split("---\n")[1])
    assert front["license_name"] == "cc-by-sa-4.0-and-gemma"


# ---- Training, in full -----------------------------------------------------------------------------


def enrich(folder, **columns):
    """Give every row of ``training.jsonl`` more columns; a function is called with the row."""
    path = folder / "training.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    more = [{key: value(row) if callable(value) else value for key, value in columns.items()} for row in rows]
    write_lines(path, [row | extra for row, extra in zip(rows, more, strict=True)])


def invented_retention(difference=(0.05, 0.01, 0.09), sentences="test", off=2e-6):
    """A run that kept what it could."""
    value, low, high = difference
    return {
        "trial": "k5-draw2-seed2",
        "source_score": {"metric": "accuracy", "n": 99, "before": 0.84848, "after": 0.82828},
        "retrieval": {
            "yor-Latn": {
                "sentences": sentences, "n": 204, "before": {"value": 0.48, "low": 0.41, "high": 0.55},
                "after": {"value": 0.48 + value, "low": 0.45, "high": 0.6},
                "difference": {"value": value, "low": low, "high": high},
            }
        },
        "similarity": {
            "eng-Latn": {"sentences": "dev", "n": 99, "cosine": 0.9731, "cka": 0.9912},
            "yor-Latn": {"sentences": "test", "n": 120, "cosine": 0.4111, "cka": None},
        },
        "adapters_disabled": {"texts": 219, "max_difference": off, "tolerance": 1e-3},
    }  # fmt: skip


def test_what_learnt_when_is_reported(run):
    """Stages with their epochs and steps, in the page as a table and in the card as a line."""
    enrich(run, trained=lambda row: ["head"] if row["epoch"] < 3 else ["head", "prompt", "layers 9-12"])

    page, card = plain(write_report(run)), plain(write_model_card(run))

    assert "<td>0–2</td><td>1–24</td><td>head</td>" in page
    assert "<td>3–8</td><td>25–96</td><td>head, prompt, layers 9-12</td>" in page
    assert "What learnt when: epochs 0–2: head; 3–8: head, prompt, layers 9-12." in card


@pytest.mark.parametrize(
    ("cosine", "words"),
    [(-0.31, "Task and alignment fight"), (0.02, "about orthogonal"), (0.4, "Task and alignment help each other")],
)
def test_gradient_conflict_is_reported(run, cosine, words):
    """One sentence with its numbers."""
    enrich(run, gradient_cosine=cosine, gradient_ratio=2.5)

    for text in (unescape(plain(write_report(run))), plain(write_model_card(run))):
        assert words in text
        assert f"(cosine {cosine:+.2f} on average)".replace("-", "\u2212") in text
        assert "alignment's gradient is 2.5 times the size of the task's" in text


def test_weights_that_moved_are_reported(run):
    """By the names of the losses in the recipe."""
    (run / "recipe.yaml").write_text("alignment: [{name: mse}, {name: cka}]\n", encoding="utf-8")
    enrich(run, weights=lambda row: [1.0, 0.5 + row["epoch"] / 10])

    text = plain(write_report(run))

    assert "mse 1.00 → 1.00 (between 1.00 and 1.00); cka 0.50 → 1.30 (between 0.50 and 1.30)." in text
    enrich(run, weights=[1.0, 0.5])
    assert "Factors in front of" not in plain(write_report(run))


def test_a_recipe_that_is_no_yaml_is_refused(run):
    """The page shows the recipe, so it must be one."""
    (run / "recipe.yaml").write_text("alignment: [{name: mse\n", encoding="utf-8")

    with pytest.raises(RunError, match=r"recipe\.yaml cannot be read .*line 1.*put it back from a copy"):
        write_report(run)


def test_losses_without_a_recipe_are_numbered(run):
    """Their names stand in the recipe alone."""
    (run / "recipe.yaml").unlink()
    enrich(run, weights=lambda row: [float(row["epoch"])])

    assert "loss 1 0.00 → 8.00" in plain(write_report(run))


def test_warnings_of_the_training_come_first(run):
    """Above all else, once each, in the page and in the card."""
    sentence = "the prompt gets no <gradient>."
    enrich(run, warnings=lambda row: [sentence] if row["trial"] == "k5-draw2-seed2" and row["epoch"] in (3, 4) else [])

    header = plain(write_report(run)).partition("</header>")[0]

    told = "The prompt gets no &lt;gradient&gt; (in 1 of 6 trials, first in k5-draw2-seed2, epochs 3–4)."
    assert header.index("What to look at first") < header.index(told) < header.index("Before you believe it")
    assert header.count("&lt;gradient&gt;") == 1
    assert "- The prompt gets no &lt;gradient> (in 1 of 6 trials" in plain(write_model_card(run))


def test_many_warnings_are_counted(run):
    """A page is no log."""
    enrich(run, warnings=lambda row: [f"Warning {row['trial']} {row['epoch']}."])

    assert "46 more warnings in training.jsonl" in plain(write_report(run))


def test_a_backbone_that_moved_is_shown_and_warned_of(run):
    """The digest of all of it before and after, also where copies of its layers were trained."""
    text = unescape(plain(write_report(run)))
    assert "The backbone's weights are the same before and after training" in text
    backbone = json.loads((run / "summary.json").read_text(encoding="utf-8"))["backbone"]
    change(run / "summary.json", backbone=backbone | {"digest_after": "sha256:other"})
    text = unescape(plain(write_report(run)))
    assert "✗ The backbone's weights changed." in text
    assert "weights changed during training" in text.partition("</header>")[0]


def test_trained_copies_of_the_backbone_are_named(run):
    """Page and card do not call frozen what was not."""
    parts = [{"part": "backbone", "name": "backbone layers", "count": 1_774_464, "trained": True}]
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    change(run / "summary.json", parameters=summary["parameters"] + parts)

    page, card = plain(write_report(run)), plain(write_model_card(run))

    assert "<td>backbone, copies</td><td><code>backbone layers</code></td>" in page
    assert "frozen, run every step" not in page
    assert "grafted onto the\n" in card
    assert "trained copies of some of the backbone's" in card


def invented_pseudo(draw):
    """What a run made in a draw, with a text that looks like markup."""
    made = {"text_a": "omi <b>náà</b>", "label": "weather", "origin": "word-translation", "weight": 0.5}
    question = {"question": "Ta ni?", "context": "Ọba ni", "answers": [{"text": "Ọba"}], "origin": "translation"}
    return {
        "language": "yor-Latn", "draw": draw, "made": {"word-translation": 90, "translation": 10},
        "dropped": {"the lexicon knows no word of it": 7, "it is an evaluation text": 9},
        "funnel": [{"filter": "length", "came": 120, "taken": 15}, {"filter": "duplicates", "came": 105, "taken": 5}],
        "survivors": [made, question],
        "rejected": [{"filter": "length", "reason": "too short", "example": made | {"text_a": "omi"}}],
    }  # fmt: skip


def test_pseudo_data_have_their_section(run):
    """The funnel of the saved trial's draw, examples as they are written, reasons, and what the source lost."""
    lots = [invented_pseudo(0) | {"made": {"word-translation": 1}}, invented_pseudo(2)]
    write_object(run / "pseudo.json", {"lots": lots})
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    saved = {summary["selected_trial"]: {"source_change": {"n": 99, "before": 0.858, "after": 0.83}}}
    change(run / "summary.json", trials=saved)

    page = unescape(plain(write_report(run)))

    assert "<h2>Yoruba: 120 made, 100 learnt from</h2>" in page
    assert "<h3>Yoruba: 90 by word-translation, 10 by translation</h3>" in page
    assert "English development score: 85.8 % before they were learnt from, 83.0 % after." in page
    assert "it is an evaluation text (9); the lexicon knows no word of it (7)." in page
    for cells in (("length", "120", "15", "105"), ("duplicates", "105", "5", "100")):
        name, *numbers = cells
        assert f"<td>{name}</td>" + "".join(f'<td class="number">{number}</td>' for number in numbers) in page
    assert "Ta ni?<br>Ọba ni" in page
    assert "<td>Ọba</td>" in page
    assert "<td>too short</td>" in page
    assert parsed(run / "report.html").open == []
    assert "omi &lt;b&gt;náà&lt;/b&gt;" in (run / "report.html").read_text(encoding="utf-8")
    write_object(run / "pseudo.json", {"lots": []})
    assert "Pseudo-data" not in plain(write_report(run))


def test_retention_has_its_section(run):
    """Scores, retrieval, similarity and the model with adapters disabled."""
    write_object(run / "retention.json", invented_retention())

    page, card = plain(write_report(run)), plain(write_model_card(run))

    summary = (
        "English accuracy fell from 84.8 % to 82.8 % on 99 development texts; the model recognises more translations "
        "than before: Yoruba (48 % → 53 % of 204 pairs)."
    )
    assert f"<h2>{summary}</h2>" in page
    assert f"**Retention: how much of the model's ability is kept (forgetting).** {summary}" in unescape(card)
    assert unescape(page).count("how much of the model's ability is kept") == 1
    for expected in ("204 test texts", "+5.0 points", "[1.0, 9.0]", "0.973", "0.991", "0.411", "2e-06", "219 texts",
                     "✓ With the adapters disabled"):  # fmt: skip
        assert expected in page
    assert parsed(run / "report.html").open == []
    (run / "retention.json").unlink()
    assert "Retention" not in plain(write_report(run))


def test_a_page_of_results_has_a_table_of_retention(tmp_path):
    """Scores, translations found, and the bits that a decoder's words take, each with what is known of its interval."""
    folder = write_run(tmp_path / "run")
    change(folder / "summary.json", trials={"k5-draw0-seed1": {}})
    ends = {"low": 4.25, "high": 5.125}
    bits = {"before": {"value": 3.5} | ends, "after": {"value": 4.75} | ends, "difference": {"value": 1.25} | ends}
    said = {"yor-Latn": {"sentences": "test", "n": 21, "tokens": 999, **bits}}
    write_object(folder / "retention.json", invented_retention() | {"bits_per_token": said})

    page = write_results_page(folder, tmp_path / "page.md", command="x").read_text(encoding="utf-8")

    _, _, table = page.partition("## What is kept of the model (retention)\n\nEnglish accuracy fell from 84.8")
    assert [line for line in table.splitlines() if line.startswith("|")][2:] == [
        "| Accuracy | English | 84.8 | 82.8 | -2.0 | 99 development texts |",
        "| Translations found | English and Yoruba | 48.0 [41.0, 55.0] | 53.0 [45.0, 60.0] | +5.0 [+1.0, +9.0] "
        "| 204 test texts |",
        "| Bits per token | Yoruba | 3.50 [4.25, 5.12] | 4.75 [4.25, 5.12] | +1.25 [+4.25, +5.12] | 21 test texts |",
    ]
    (folder / "retention.json").unlink()
    assert "retention" not in write_results_page(folder, tmp_path / "page.md", command="x").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (
            (-0.1, -0.2, -0.01),
            "recognises fewer translations than before: Yoruba (48 % → 38 % of 204 pairs that it was trained on).",
        ),
        (
            (-0.05, -0.1, 0.1),
            "The model still recognises translations about as well as before: Yoruba (48 % → 43 % of 204 pairs that it "
            "was trained on; no clear difference).",
        ),
    ],
)
def test_what_was_forgotten_is_reported(run, difference, words):
    """A loss is said as plainly as a gain, and so is doubt."""
    write_object(run / "retention.json", invented_retention(difference, sentences="learn") | {"source_score": None})

    text = plain(write_report(run))

    assert words in text
    assert "204 training pairs" in text


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ([{"threshold": -0.7}], "The head's threshold and the choice of the trial share the same 99 development"),
        (
            [{"head_strength": 0.3}],
            "The head's strength, its temperature and the choice of the trial share the same 99 development",
        ),
        ([{}, {"head_strength": None}], "The choice of the trial uses the same 99 development"),
        ([{"head_strength": None}], None),
    ],
)
def test_the_report_says_what_shares_the_development_texts(run, facts, words):
    """Who reads the development score learns what else was fitted to those texts, where anything was."""
    trials = {f"k5-draw0-seed{seed}": fact for seed, fact in enumerate(facts)}
    change(run / "summary.json", trials=trials)

    page = unescape(plain(write_report(run)))

    assert words is None or words in page
    assert ("the development score is optimistic; the test scores are not touched by it." in page) == bool(words)


def test_adapters_that_stay_enabled_are_warned_of(run):
    """More than rounding is no base model."""
    write_object(run / "retention.json", invented_retention(off=0.25))

    text = unescape(plain(write_report(run)))

    assert "differ from the base model's by 0.25" in text.partition("</header>")[0]
    assert "✗ With the adapters disabled, the model is not the base model" in text


def test_a_diverged_loss_is_reported(run):
    """A loss that is no number is not drawn, and one that rose is not called a fall."""
    path = run / "training.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row |= {"loss": float("nan"), "task_loss": 1.0 + row["epoch"]}
    write_lines(path, rows)

    assert "Task loss did not fall: it went from 1.00 to 9.00" in plain(write_report(run))


def test_the_calibration_error_is_that_of_the_diagram_beside_it(run):
    """Of the saved trial's predictions, in Guo et al.'s bins, and no other figure stands beside it."""
    rows = [
        json.loads(line)
        for line in (run / "predictions" / "k5-draw2-seed2" / "yor-Latn.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    errors = []
    for start, column in (("before_", "before"), ("", "value")):
        gap = 0.0
        for k in range(10):
            inside = [row for row in rows if k / 10 < row[f"{start}confidence"] <= (k + 1) / 10]
            gap += abs(sum(row[f"{start}confidence"] - (row[column] == row["gold"]) for row in inside))
        errors.append(f"{100 * gap / len(rows):.1f} %")

    text = plain(write_report(run))

    assert f"expected calibration error {errors[0]} → {errors[1]}.<" in text


def test_too_few_pairs_are_said_to_be_too_few(run):
    """A share of nineteen may move by itself; one that did not move at all is in no doubt."""
    found = invented_retention((-1 / 19, -0.2, 0.1))
    found["retrieval"]["yor-Latn"]["n"] = 19
    write_object(run / "retention.json", found)
    assert "about as well as before: Yoruba (48 % → 43 % of 19 pairs; too few to tell)." in plain(write_report(run))
    found["retrieval"]["yor-Latn"]["after"]["value"] = 0.48
    write_object(run / "retention.json", found)
    assert "about as well as before: Yoruba (48 % → 48 % of 19 pairs)." in plain(write_report(run))


@pytest.mark.parametrize(("draws", "columns"), [(1, 0), (2, 1)])
def test_the_worst_draw_is_told_where_there_are_several(tmp_path, draws, columns):
    """Of one draw it would be the value itself; rows have as many cells as the heading."""
    folder = write_run(tmp_path / "run", draws=draws, seeds=1, shots=(0, 5))
    change(folder / "summary.json", trials={"k5-draw0-seed1": {}})
    page = write_results_page(folder, tmp_path / "page.md", command="x").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]

    assert plain(write_report(folder)).count("Worst draw") == columns
    assert page.count("worst draw") == 2 * columns
    assert {row.count("|") for row in rows} == {7 + columns}
    assert f"mean over {draws} draw{'s' * columns} and 1 seed;" in page


def test_a_frozen_head_below_the_most_frequent_label_is_told(tmp_path):
    """A gain over it may be no more than what needs no model."""
    folder = write_run(tmp_path / "run", draws=1, seeds=1)
    path = folder / "predictions" / "k5-draw0-seed1" / "yor-Latn.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    before = next(r for r in results(read_run(folder)) if r.language == "yor-Latn").before.value
    assert "is below always answering" not in plain(write_report(folder))
    write_lines(path, [row | {"gold": "trade"} if number < 90 else row for number, row in enumerate(rows)])
    (only,) = [r for r in results(read_run(folder)) if r.language == "yor-Latn"]

    assert only.majority >= 0.75
    assert (
        f"the frozen head ({100 * before:.0f} %) is below always answering the most frequent label "
        f"({100 * only.majority:.0f} %), so the gain over it says little." in plain(write_report(folder))
    )


def test_remarks_of_the_recipe_are_on_every_page(tmp_path):
    """In the report, in the model card and on the page of results."""
    folder = write_run(tmp_path / "run")
    with (folder / "recipe.yaml").open("a", encoding="utf-8") as recipe:
        recipe.write("notes: [Run **beside** others., Once.]\n")
    assert "<li>Run <strong>beside</strong> others.</li>" in write_report(folder).read_text(encoding="utf-8")
    said = "\n\nRemarks:\n\n- Run **beside** others.\n- Once.\n\n"
    assert said in write_model_card(folder).read_text(encoding="utf-8")
    change(folder / "summary.json", trials={"k5-draw0-seed1": {}})
    page = write_results_page(folder, tmp_path / "page.md", command="lingraft run a.yaml")
    assert f"{said}Accuracy" in page.read_text(encoding="utf-8")
