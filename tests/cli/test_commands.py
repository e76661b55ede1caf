"""The command line, as a person uses it."""

import csv
import gc
import io
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import get_args

import pytest
import yaml

import lingraft
from lingraft.cli.info import Kind
from lingraft.cli.listing import KINDS
from lingraft.cli.predict import write_as_files
from lingraft.cli.starters import demo_recipe, recipe_text, starters
from lingraft.core.stored_states import states_folder
from lingraft.recipe.parsing import parse_recipe, read_recipe
from lingraft.recipe.presets import preset_values, presets
from lingraft.results.pages import write_page
from lingraft.results.pages.run_markdown import write_results_page
from lingraft.results.run_files import read_run, trial_of
from lingraft.results.saved_trial import explain_saved
from quick_run import run
from tiny import REPOSITORY


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
    commands = ("init", "check", "run", "compare", "demo", "evaluate", "score", "predict", "serve", "report", "list")
    for command in (*commands, "schema", "cache"):
        assert re.search(rf"{command} +[A-Z]", shown)


@pytest.mark.parametrize("task", starters())
def test_a_written_recipe_is_one_that_can_be_read(call, tmp_path, task):
    """What `init` writes for any task passes the recipe's own checks."""
    path = tmp_path / "recipe.yaml"
    call("init", path, "--task", task, "--language", "yo", "--language", "Quechua")
    recipe = read_recipe(path)
    assert recipe.task.name == task
    assert recipe.task.options["target_languages"] == ["yor-Latn", "quy-Latn"]


@pytest.mark.parametrize(("instant", "seeds"), [(False, [1, 2]), (True, [1])])
def test_the_demo_has_as_many_seeds_as_say_something(instant, seeds):
    """Nothing depends on one in closed form."""
    recipe = demo_recipe("yo", None, instant=instant)
    assert (recipe.seeds, recipe.train.num_train_epochs > 0) == (seeds, not instant)


@pytest.mark.parametrize("preset", presets())
def test_a_recipe_with_a_preset_shows_what_the_preset_sets(call, tmp_path, preset):
    """Its last lines are the preset's own settings, and no default that it does not have."""
    path = tmp_path / "recipe.yaml"
    call("init", path, "--preset", preset)
    text = path.read_text(encoding="utf-8")
    shown = text.partition(f"# What `preset: {preset}` sets:\n")[2]
    assert yaml.safe_load(re.sub(r"^# ", "", shown, flags=re.MULTILINE)) == preset_values(preset)
    assert "# prompt: {name: deep, length: 16" not in text
    assert read_recipe(path).seeds == ([1] if preset == "instant" else [1, 2])

    own = text.replace(f"preset: {preset} ", "# ", 1).replace(f"{shown}", re.sub(r"^# ", "", shown, flags=re.MULTILINE))
    before = read_recipe(path)
    path.write_text(own, encoding="utf-8")
    assert read_recipe(path) == before.model_copy(update={"preset": None})


def test_a_recipe_is_written_for_languages_that_it_can_have(command, tmp_path):
    """A target that is named twice is one, and the source language is none."""
    path = tmp_path / "recipe.yaml"
    refused = command("init", path, "--language", "English")
    assert (refused.code, path.exists()) == (1, False)
    assert "English is the source language of the recipe that is written" in refused.err
    assert not command("init", path, "--language", "sw", "--language", "Swahili").code
    assert read_recipe(path).task.options["target_languages"] == ["swh-Latn"]


@pytest.mark.parametrize(
    "task", ["choice", "classification", "generation", "multilabel", "regression", "span_qa", "tagging"]
)
def test_a_written_recipe_speaks_of_the_language_that_was_chosen(call, tmp_path, task):
    """What its files may be called, and the line that makes it a task in that language alone."""
    path = tmp_path / "recipe.yaml"
    call("init", path, "--task", task, "--language", "sw")
    text = path.read_text(encoding="utf-8")
    assert "{language} becomes swh-Latn, swh, sw …" in text
    assert "yor" not in text.partition("\ntask:")[2]
    assert "yor" not in recipe_text("sib200", ["sw"], path)
    alone = re.sub(r"  source_language: .*\n  target_languages: .*\n  # language:", "  language:", text)
    recipe = read_recipe_text(alone.partition("\nparallel:")[0], tmp_path)
    assert (recipe.task.options["source_language"], recipe.task.options["target_languages"]) == ("swh-Latn", [])
    assert recipe.shots.ks == ["all"]


def read_recipe_text(text, folder):
    """Read a recipe that somebody wrote."""
    (folder / "written.yaml").write_text(text, encoding="utf-8")
    return read_recipe(folder / "written.yaml")


def test_every_kind_of_task_has_a_recipe_to_start_from():
    """Whoever brings their own data finds a task block to fill in."""
    assert {"classification", "generation", "multilabel", "regression", "span_qa", "tagging", "choice"} < set(
        starters()
    )


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


def test_which_of_several_trials_answers_is_told(call, finished, tmp_path):
    """On the way of messages, not among the answers; and in the model card; a damaged summary stops nobody."""
    seed = json.loads((finished / "summary.json").read_text(encoding="utf-8"))["selected_trial"][-1]
    said = f"1 shot per label (draw 1 of 1, seed {seed})"
    assert f"the trial that answers: {said}\n" in call("predict", finished, stdin="bako cora mira\n").err
    assert said not in call("predict", finished, "--quiet", stdin="bako cora mira\n").err
    card = (finished / "README.md").read_text(encoding="utf-8")
    assert f"The trial that answers: {said}." in card
    copied = shutil.copytree(finished, tmp_path / "run")
    (copied / "summary.json").write_text("{", encoding="utf-8")
    assert json.loads(call("predict", copied, stdin="bako cora mira\n").out)["label"]


def test_a_row_keeps_its_place_and_its_columns_and_is_scored_as_it_is(call, finished, tmp_path):
    """What is predicted for a table with ids goes to `score` beside the same table; an empty text is missing."""
    table = tmp_path / "texts.csv"
    table.write_text("id,text,topic\n17,bako cora mira,sun\n18,,rain\n19,goma dune mira,rain\n", encoding="utf-8")
    for form in ("jsonl", "csv"):
        printed = call("predict", finished, table, "--format", form)
        predicted = tmp_path / f"predicted.{form}"
        predicted.write_text(printed.out, encoding="utf-8")
        rows = (
            list(map(json.loads, printed.out.splitlines()))
            if form == "jsonl"
            else list(csv.DictReader(io.StringIO(printed.out)))
        )
        assert [(row["id"], row["topic"]) for row in rows] == [("17", "sun"), ("18", "rain"), ("19", "rain")]
        assert rows[1]["label"] == ""
        assert re.search(r"3 lines, [\d,.]+ lines per second", printed.err)
        scored = call("score", predicted, table, "--metric", "accuracy", "--label", "topic", "--missing-is-wrong")
        assert "1 without a prediction" in scored.out


def test_a_score_of_a_single_group_has_no_interval_and_says_why(call, tmp_path):
    """A dash in its place, and a sentence."""
    (tmp_path / "g.csv").write_text("id,label,doc\n1,a,x\n2,b,x\n", encoding="utf-8")
    (tmp_path / "p.csv").write_text("id,label\n1,a\n2,a\n", encoding="utf-8")
    printed = call("score", tmp_path / "p.csv", tmp_path / "g.csv", "--metric", "accuracy", "--group", "doc").out
    assert re.search(r"accuracy +0\.5000 +–", printed)
    assert "2 examples, drawn in 1 group for the intervals\nno interval: all that is scored is one group" in printed


def test_answers_are_written_as_files_are():
    """UTF-8, and line ends as they are given, whatever the system does with standard output."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", newline="\r\n")
    write_as_files(stream)
    csv.writer(stream).writerow(["ọ", 1])
    stream.write("{}\n")
    stream.flush()
    assert stream.buffer.getvalue() == "ọ,1\r\n{}\n".encode()


def test_a_console_that_lacks_letters_ends_no_command(tmp_path):
    """As in a code page of Windows; a whole process, which sees them in what it prints."""
    for name, label in (("given", "ọjọ́"), ("gold", "day")):
        (tmp_path / f"{name}.csv").write_text(f"id,label\n1,{label}\n2,night\n", encoding="utf-8")
    command = [sys.executable, "-m", "lingraft", "score", "given.csv", "gold.csv", "--metric", "accuracy"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"nowhere in the gold file: '\u1ecdj\u1ecd\u0301'" in done.stdout


def test_python_and_the_command_line_answer_alike(call, finished):
    """Without a language: in the run's only target, and nothing is said of it."""
    printed = call("predict", finished, "--quiet", "--probabilities", stdin="bako beli\n\n")
    first, empty = map(json.loads, printed.out.splitlines())
    adapted = lingraft.load(finished)
    (expected,) = adapted.predict(["bako beli"])
    assert expected == adapted.predict(["bako beli"], language="sw")[0]
    assert (first["label"], first["confidence"]) == (expected.value, round(expected.confidence, 4))
    assert list(first["probabilities"].values()) == pytest.approx(
        adapted.predict_proba(["bako beli"]).values[0], abs=1e-5
    )
    assert (empty["label"], printed.err) == ("", "")


@pytest.mark.parametrize(
    ("arguments", "stdin", "told"),
    [
        ((), '{"text": "bako"}\nbeli\n', "standard input, line 2: is not JSON"),
        (
            (),
            '{"body": "bako"}\n',
            "standard input, line 1: there is no column 'text' (for `text`); its columns are body",
        ),
        (("--text", "body"), '{"text": "bako"}\n', "call it 'text', or say which with --text COLUMN"),
        ((), '{"text": "be\\ud83d"}\n', "standard input, line 1: column 'text' holds half a surrogate pair"),
        ((), '{"text": "bako", "note": "\\udc00"}\n', "column 'note' holds half a surrogate pair"),
        (("--input-format", "csv"), "a,b\n1\n", "standard input, line 2: has 1 cell, but the header has 2"),
    ],
)
def test_what_is_wrong_with_standard_input_is_one_line(command, finished, arguments, stdin, told):
    """With its line, and what to do."""
    done = command("predict", finished, *arguments, stdin=stdin)
    assert done.code == 1
    assert told in done.err
    assert len([line for line in done.err.splitlines() if line.startswith("error")]) == 1


def test_predictions_read_standard_input_and_write_csv(call, finished):
    """Without a file texts come from standard input; CSV is an output format."""
    printed = call("predict", finished, "--format", "csv", stdin="bako beli\ndune eli\n")
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert [row["text"] for row in rows] == ["bako beli", "dune eli"]
    assert set(rows[0]) >= {"label", "confidence"}


def test_an_untrained_language_uses_the_task_part_and_says_so(call, finished):
    """For a language without a language part the task part is used, with a warning."""
    printed = call("predict", finished, "--language", "Wolof", stdin="bako beli\n")
    assert (
        "warning: this run learnt no Wolof; answering with the part that all languages share (trained on" in printed.err
    )
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
    monkeypatch.setenv("COLUMNS", "160")

    evaluated = call("evaluate", finished, "--languages", "sw", "--quiet").out
    ran = call("run", finished / "recipe.yaml", "--quiet").out

    title, headings, row = (
        re.search(rf".*{word}.*", evaluated)[0] for word in ("examples", "language", "swh-Latn.*accuracy")
    )
    assert title.strip() == f"test examples, saved trial {saved}"
    assert "value" in headings
    assert re.search(rf" accuracy +{one} .* {mean} ", row)
    explained = explain_saved(found)
    assert explained.startswith("The mean is of 2 trials, each with another draw")
    assert f"mean of trials: as `lingraft run` shows it. {explained}" in " ".join(evaluated.split())
    assert explained.replace("`", "") in re.sub("</?code>", "", write_page(finished, "report.html").read_text("utf-8"))
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
    monkeypatch.setenv("COLUMNS", str(width))
    lines = call("evaluate", finished, "--languages", "yo", "--quiet").out.splitlines()
    scores = [line for line in lines if "yor-Latn" in line]
    assert len(scores) == 2
    assert all(re.search(r"\d\.\d{3} +\d\.\d{3} to \d\.\d{3}", line) for line in scores)


@pytest.mark.parametrize("width", [60, 80])
def test_the_table_of_a_check_fits_its_place(call, finished, monkeypatch, tmp_path, width):
    """No row breaks; the columns that matter least are left out."""
    monkeypatch.setenv("COLUMNS", str(width))
    lines = call("check", finished / "recipe.yaml", f"output_dir={tmp_path / 'other'}").out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().startswith("language"))
    assert max(len(line.rstrip()) for line in lines[start : start + 5]) <= width
    assert sum("Swahili" in line for line in lines[start : start + 5]) == 1


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


def test_without_a_kind_the_kinds_are_listed(call):
    """Each of them can be listed, and is said with its place in a recipe; nothing else can."""
    shown = call("list").out
    assert "task.name" in shown
    for kind in KINDS:
        assert re.search(rf"^│ {kind} +│", shown, re.MULTILINE)
    assert get_args(Kind) == tuple(KINDS)


def test_the_cache_tells_its_size_and_empties(call, finished, tmp_path, monkeypatch):
    """`cache prune` removes what `cache info` counts."""
    gc.collect()  # a run of this process holds its shards until then, and what is held is spared
    shutil.copytree(states_folder(), tmp_path / "states")
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    assert ": 0 shards" not in call("cache", "info").out
    call("cache", "prune")
    assert ": 0 shards" in call("cache", "info").out


@pytest.mark.parametrize("size", ["inf", "nan", "-1", "1e300"])
def test_a_size_of_the_cache_that_no_disk_has_is_refused(command, size):
    """In one line, before anything is removed."""
    done = command("cache", "prune", "--max-gigabytes", size)
    assert done.code == 1
    assert "expected 0 to 1,000,000 gigabytes, got" in done.err


def test_warnings_of_the_package_do_not_steer_the_terminal(call, capfd):
    """A path may hold anything."""
    call("--version")
    logging.getLogger("lingraft.core.files").warning("waiting for %s", "[/b]\x1b[31m.lock")
    assert capfd.readouterr().err == "warning: waiting for [/b].lock\n"


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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "r.yaml"], "the same command begins anew"),
        (["compare", "r.yaml", "--dry-run"], "the same command begins anew"),
        (["compare", "r.yaml"], "what a run or a comparison has finished is kept, and the same command again"),
    ],
)
def test_a_stopped_command_promises_to_continue_only_where_it_does(command, monkeypatch, arguments, said):
    """Asked to end while it reads the recipe."""

    def stop(*given, **options):
        os.kill(os.getpid(), signal.SIGTERM)

    for name in ("read_recipe", "draft_recipe"):
        monkeypatch.setattr(f"lingraft.recipe.parsing.{name}", stop)
    done = command(*arguments)

    assert (done.code, done.err.startswith(f"stopped; {said}")) == (128 + signal.SIGTERM, True)
