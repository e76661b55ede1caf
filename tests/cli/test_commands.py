"""The command line, as a person uses it."""

import csv
import gc
import io
import json
import re
import shutil

import pytest

import lingraft
from lingraft.cli.predict import write_predictions
from lingraft.cli.starters import starters
from lingraft.core.records import Prediction
from lingraft.core.stored_states import states_folder
from lingraft.recipe.parsing import parse_recipe, read_recipe
from lingraft.results.pages.run_markdown import write_results_page
from lingraft.results.run_files import read_run, trial_of
from quick_run import run


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_checkpoint):
    """A finished run on invented words: k 0 and 1, two seeds, parallel text from the task."""
    folder = tmp_path_factory.mktemp("finished")
    words = {"sun": ["bako", "beli", "cora", "ada"], "rain": ["dune", "dilo", "goma", "eli"]}
    rows = [(f"{a} {b}", y) for y, group in words.items() for a in group for b in group]
    for split, part in (("train", rows[::2]), ("dev", rows[1::4]), ("test", rows[3::4])):
        for language in ("eng", "swh", "yor"):
            tail = {"eng": "luma", "swh": "mira", "yor": "nolu"}[language]
            text = "".join(f"{i},{t} {tail},{y}\n" for i, (t, y) in enumerate(part))
            (folder / f"{split}.{language}.csv").write_text("id,text,label\n" + text, encoding="utf-8")
    recipe = {
        "output_dir": str(folder / "run"),
        "seeds": [1, 2],
        "backbone": {"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 16},
        "task": {
            "name": "classification",
            "title": "weather",
            "source_language": "en",
            "target_languages": ["sw"],
            "data_dir": str(folder),
            "files": {split: f"{split}.{{language}}.csv" for split in ("train", "dev", "test")},
            "fields": {"id": "id", "text": "text", "label": "label"},
            "parallel": True,
        },
        "shots": {"k": [0, 1]},
        "parallel": {"from": "task", "pairs": 8},
        "train": {"num_train_epochs": 2},
    }
    return run(parse_recipe(recipe))


@pytest.fixture
def call(command):
    """Call a command that goes well; what it printed."""

    def good(*arguments, stdin=""):
        done = command(*arguments, stdin=stdin)
        assert not done.code, done.err
        return done

    return good


def test_help_names_every_command(call):
    """Each with a sentence."""
    shown = call("--help").out
    commands = ("init", "check", "run", "compare", "demo", "evaluate", "score", "predict", "report", "list", "schema")
    for command in (*commands, "cache"):
        assert re.search(rf"{command} +[A-Z]", shown)


@pytest.mark.parametrize("task", starters())
def test_a_written_recipe_is_one_that_can_be_read(call, tmp_path, task):
    """What `init` writes for any task passes the recipe's own checks."""
    path = tmp_path / "recipe.yaml"
    call("init", path, "--task", task, "--language", "yo", "--language", "Quechua")
    recipe = read_recipe(path)
    assert recipe.task.name == task
    assert recipe.task.options["target_languages"] == ["yor-Latn", "quy-Latn"]


def test_every_kind_of_task_has_a_recipe_to_start_from():
    """Whoever brings their own data finds a task block to fill in."""
    assert {"classification", "span_qa", "tagging", "choice"} < set(starters())


def test_the_schema_describes_what_a_recipe_may_say(call):
    """`schema` prints a JSON Schema that knows the sections and refuses others."""
    schema = json.loads(call("schema").out)
    assert {"task", "backbone", "shots", "train", "alignment"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_a_run_shows_before_and_after(call, finished):
    """Asking for a finished run again trains nothing and shows its table."""
    printed = call("run", finished / "recipe.yaml", f"output_dir={finished}")
    assert "finished already" in printed.err
    assert all(word in printed.out for word in ("frozen", "lingraft", "gain"))
    assert "Swahili" in printed.out


def test_predictions_come_as_json_lines_with_confidence(call, finished, tmp_path):
    """A text file gives one JSON object a line, in order, as `load` predicts."""
    (tmp_path / "texts.txt").write_text("bako cora mira\ngoma dune mira\n", encoding="utf-8")
    rows = [json.loads(line) for line in call("predict", finished, tmp_path / "texts.txt").out.splitlines()]
    expected = lingraft.load(finished).predict(["bako cora mira", "goma dune mira"], language="sw")
    assert [row["label"] for row in rows] == [prediction.value for prediction in expected]
    assert rows[0]["confidence"] == pytest.approx(expected[0].confidence, abs=1e-4)


def test_a_table_of_predictions_has_the_columns_of_all_rows():
    """Rows may have more keys than the first; a column `label` of the user's own gives way to the prediction."""
    stream = io.StringIO()
    rows = [{"question": "Who?"}, {"question": "What?", "id": 7, "label": "mine"}]
    answers = [Prediction(str(i), "eng-Latn", "Ada", 0.5) for i in range(2)]
    write_predictions(stream, rows, answers, "csv")
    assert list(csv.DictReader(io.StringIO(stream.getvalue()))) == [
        {"question": "Who?", "id": "", "label": "Ada", "confidence": "0.5"},
        {"question": "What?", "id": "7", "label": "Ada", "confidence": "0.5"},
    ]


def test_predictions_read_standard_input_and_write_csv(call, finished):
    """Without a file texts come from standard input; CSV is an output format."""
    printed = call("predict", finished, "--format", "csv", stdin="bako beli\ndune eli\n")
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert [row["text"] for row in rows] == ["bako beli", "dune eli"]
    assert set(rows[0]) >= {"label", "confidence"}


def test_an_untrained_language_uses_the_task_part_and_says_so(call, finished):
    """For a language without a language part the task part is used, with a warning."""
    printed = call("predict", finished, "--language", "Wolof", stdin="bako beli\n")
    assert "task part alone" in printed.err
    adapted = lingraft.load(finished)
    (row,) = map(json.loads, printed.out.splitlines())
    (source,) = adapted.predict(["bako beli"], language="eng-Latn")
    assert row["confidence"] == pytest.approx(source.confidence, abs=1e-4)


def test_a_run_can_be_scored_in_a_language_it_never_saw(call, finished):
    """`evaluate` scores test sets of other languages of the task, and says which part was used."""
    printed = call("evaluate", finished, "--languages", "sw,yo", "--quiet")
    assert "task part alone" in " ".join(printed.out.split())
    assert "yor-Latn" in printed.out


def test_the_mean_over_trials_and_the_saved_trial_are_both_shown_and_named(call, finished, monkeypatch):
    """`run` and `evaluate` say the same two numbers of a language, and which is which."""
    found = read_run(finished)
    saved = found.selected_trial
    shots = int(saved[1])
    of_trials = {
        trial_of(score): score.value
        for score in found.scores
        if (score.method, score.language, score.metric) == ("lingraft", "swh-Latn", "accuracy") and score.shots == shots
    }
    assert len(of_trials) == 2
    mean, one = f"{sum(of_trials.values()) / 2:.3f}", f"{of_trials[saved]:.3f}"
    monkeypatch.setattr("lingraft.cli.tables.terminal.width", 160)

    evaluated = call("evaluate", finished, "--languages", "sw", "--quiet").out
    ran = call("run", finished / "recipe.yaml", "--quiet").out

    title, headings, row = (
        re.search(rf".*{word}.*", evaluated)[0] for word in ("examples", "language", "swh-Latn.*accuracy")
    )
    assert title.strip() == f"test examples, saved trial {saved}"
    assert "value" in headings
    assert re.search(rf" accuracy +{one} .* {mean} ", row)
    assert "mean of trials: of all 2, as `lingraft run` shows it" in evaluated
    (row,) = [line for line in ran.splitlines() if re.search(rf"Swahili +{shots} ", line)]
    assert re.search(rf" {mean} +\[.* {one} ", row)
    assert f"lingraft: mean over draws and seeds; saved trial: {saved}, which" in ran


@pytest.mark.parametrize("split", ["dev", "test"])
def test_a_mean_is_shown_only_beside_the_examples_that_it_is_of(call, finished, split):
    """Other examples than the run's own test sets have no mean to compare with."""
    printed = call("evaluate", finished, "--languages", "sw", "--limit", "2", "--split", split, "--quiet").out
    assert "mean of" not in printed


@pytest.mark.parametrize("width", [44, 60])
def test_intervals_stay_on_one_line_in_a_narrow_terminal(call, finished, monkeypatch, width):
    """`evaluate` leaves out columns before it breaks an interval over two lines."""
    monkeypatch.setattr("lingraft.cli.tables.terminal.width", width)
    lines = call("evaluate", finished, "--languages", "yo", "--quiet").out.splitlines()
    scores = [line for line in lines if "yor-Latn" in line]
    assert len(scores) == 2
    assert all(re.search(r"\d\.\d{3} +\d\.\d{3} to \d\.\d{3}", line) for line in scores)


def test_evaluating_the_run_again_gives_its_own_scores(finished):
    """Scoring afresh, from the words up, gives the accuracy that the run wrote down."""
    from lingraft.runs.rescore import rescore

    trial = json.loads((finished / "summary.json").read_text())["selected_trial"]
    lines = (finished / "trials" / trial / "scores.jsonl").read_text().splitlines()
    written = {(s["language"], s["metric"]): s["value"] for s in map(json.loads, lines) if s["method"] == "lingraft"}
    again = {(s.language, s.metric): s.value for _, s in rescore(finished, None, "test", quiet=True)}
    assert again == pytest.approx(written)


@pytest.mark.parametrize("kind", ["tasks", "prompts", "adapters", "alignment", "backbones", "sources"])
def test_everything_a_recipe_can_name_is_listed(call, kind):
    """`list` prints names with their options."""
    expected = {"tasks": "sib200", "prompts": "deep", "adapters": "bottleneck", "alignment": "mse"}
    assert expected.get(kind, {"backbones": "bert", "sources": "jsonl"}.get(kind)) in call("list", kind).out


def test_the_cache_tells_its_size_and_empties(call, finished, tmp_path, monkeypatch):
    """`cache prune` removes what `cache info` counts."""
    gc.collect()  # a run of this process holds its shards until then, and what is held is spared
    shutil.copytree(states_folder(), tmp_path / "states")
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    assert ": 0 shards" not in call("cache", "info").out
    call("cache", "prune")
    assert ": 0 shards" in call("cache", "info").out


def test_a_results_page_names_its_command_and_its_scores(finished, tmp_path):
    """The Markdown page has the command, a row per language, and the scores in the folder beside it."""
    page = write_results_page(finished, tmp_path / "weather.md", command="lingraft run weather.yaml")
    text = page.read_text(encoding="utf-8")
    assert "    lingraft run weather.yaml" in text
    assert text.count("| Swahili |") == 2
    assert (tmp_path / "weather" / "scores.jsonl").read_bytes() == (finished / "scores.jsonl").read_bytes()


@pytest.mark.checkpoint
def test_the_example_with_ones_own_data_runs_as_the_readme_says(tmp_path, monkeypatch, pytestconfig):
    """The example recipe runs to its report on the embedded checkpoint and the result labels new text."""
    monkeypatch.chdir(pytestconfig.rootpath)
    overrides = [f"output_dir={tmp_path / 'run'}", "seeds=[1]", "train.num_train_epochs=4"]
    folder = lingraft.run("examples/own_data/recipe.yaml", *overrides, quiet=True)
    assert (folder / "report.html").exists()
    (answer,) = lingraft.load(folder).predict(["Mvua itanyesha kesho."], language="sw")
    assert answer.value in {"health", "market", "weather"}
    scores = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    assert max(s["value"] for s in scores if s["language"] == "swh-Latn" and s["method"] == "lingraft") > 0.5
