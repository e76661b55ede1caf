"""A search of settings: stopped and continued, failures, budgets, what it never reads, and the page that tells it."""

import json
import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread
from time import sleep
from types import SimpleNamespace
from unittest.mock import ANY

import numpy as np
import pytest
from filelock import FileLock
from typer.testing import CliRunner

from invented import SOURCE, TARGET, world_recipe, write_world
from lingraft.cli.main import app
from lingraft.core.errors import ConfigError, RunError
from lingraft.core.files import read_lines, read_object, write_json, write_lines
from lingraft.experiments.methods import list_methods
from lingraft.experiments.tuning import TUNED, describe_search, tune
from lingraft.recipe.parsing import parse_recipe, read_recipe
from lingraft.results.findings import Estimate
from lingraft.results.pages.experiment_page import files_of
from lingraft.results.pages.tuning_markdown import findings
from lingraft.results.statistics import Difference
from lingraft.results.tuning import PAGE, Tried, read_tuning
from lingraft.runs.folder import trials_of
from lingraft.runs.identity import MEANING
from quick_run import quick_compare, run, start_here

SMALL = [
    *("train.num_train_epochs=1", "train.batch_size=8", "train.learning_rate=1e-2", "device=cpu", "shots.k=[0, 1]"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1", "seeds=[1, 2, 3]"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]
SPACE = {"train.learning_rate": {"low": 1e-4, "high": 1e-1}, "prompt.length": [1, 3]}
ASKED = {"trials": 3, "seeds": 2, "settings": SPACE}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Topics of an invented language."""
    return write_world(tmp_path_factory.mktemp("world"), train=24, dev=12, test=20)


def recipe_of(world, checkpoint, output, *overrides, **blocks):
    """A small recipe that searches."""
    backbone = {"checkpoint": str(checkpoint), "max_length": 32}
    return world_recipe(
        world, [*SMALL, f"output_dir={output}", *overrides], backbone=backbone, **{"tune": ASKED} | blocks
    )


@pytest.fixture(scope="module")
def tuned(world, tiny_checkpoint, tmp_path_factory):
    """The folder of a search that came to its end."""
    place = tmp_path_factory.mktemp("runs") / "search"
    return tune(recipe_of(world, tiny_checkpoint, place), quiet=True, start=start_here)


EXAMPLES = 60
"""That an invented trial answers."""


class Invented:
    """Starts no training: a trial answers so many development examples rightly as its learning rate says.

    It counts what is started, and stops or fails where it is told to.
    """

    def __init__(self, *, stop=None, fail=(), right=lambda rate: 30 + 6 * np.log10(rate)):
        self.names, self.stop, self.fail, self.right = [], stop, fail, right

    @contextmanager
    def __call__(self, wanted, complaints):
        """Start one, or not."""
        facts = json.loads(wanted)
        (name,), recipe = facts["names"], parse_recipe(facts["recipe"])
        self.names.append(name)
        assert (facts["tested"], facts["do"]) == (False, "run")
        if name == self.stop:
            self.stop = None
            raise KeyboardInterrupt
        if name in self.fail:
            yield SimpleNamespace(stdout=['{"error": "the loss diverged"}'], wait=lambda: 1)
            return
        (method,) = list_methods(recipe)
        right = round(self.right(method.recipe.train.learning_rate))
        for trial in trials_of(recipe):
            leave_trial(recipe.output_dir / name, trial.name, right)
        yield SimpleNamespace(stdout=[], wait=lambda: 0)


def leave_trial(folder, trial, right):
    """Write what a trial leaves that answers the first so many examples rightly."""
    rows = [{"id": str(i), "group": str(i), "counts": [float(i < right), 1.0]} for i in range(EXAMPLES)]
    write_lines(folder / "trials" / trial / "development.jsonl", rows)
    facts = {"format": 1, "name": trial, "seconds": 1.0, "trained": 1, "dev_score": right / EXAMPLES}
    write_json(
        folder / "trials" / trial / "trial.json", facts | {"files": {f"trials/{trial}/development.jsonl": "0" * 64}}
    )
    languages = {SOURCE: {"name": "English"}, TARGET: {"name": "Yoruba"}}
    data = {"task": "topics", "metrics": {"accuracy": "mean"}, "source_language": SOURCE, "target_languages": [TARGET]}
    write_json(folder / "data.json", {"format": 1, **data, "languages": languages})


def values_of(folder):
    """What was tried, in order."""
    return [(one["name"], one["values"], one["error"]) for one in read_object(folder / "tuning.json")["trials"]]


def test_the_recipes_own_settings_come_first(tuned):
    """Then others, each in a folder of its own, on as many seeds as were asked for and the fewest labels."""
    (first, values, _), *others = values_of(tuned)
    assert (first, values) == ("trial-000", {"train.learning_rate": 1e-2, "prompt.length": 2})
    assert [name for name, _, _ in others] == ["trial-001", "trial-002"]
    for name, values, _ in others:
        recipe = read_recipe(tuned / name / "recipe.yaml")
        assert recipe.train.learning_rate == values["train.learning_rate"]
        assert recipe.prompt.options["length"] == values["prompt.length"]
        assert sorted(path.name for path in (tuned / name / "trials").iterdir()) == ["k0-draw0-seed1", "k0-draw0-seed2"]


def test_no_test_set_is_read(tuned):
    """Nothing is predicted for one, nothing scored, and what trials were made of has none."""
    assert not list(tuned.glob("*/predictions/*/*"))
    assert [row for path in tuned.glob("*/trials/*/scores.jsonl") for row in read_lines(path)] == []
    languages = read_object(tuned / "trial-001" / "data.json")["languages"]
    assert {language["texts"]["test"] for language in languages.values()} == {0}
    assert languages[SOURCE]["texts"]["dev"] == 12


def test_scores_are_those_of_the_development_answers(tuned):
    """The mean over seeds; differences are paired with the recipe's own, and the best is the highest."""
    found = read_tuning(tuned)
    assert found.examples == 12
    own = found.own.score.value
    for one in found.tried:
        rows = [list(read_lines(path)) for path in sorted((tuned / one.name).glob("trials/*/development.jsonl"))]
        facts = [read_object(path)["dev_score"] for path in sorted((tuned / one.name).glob("trials/*/trial.json"))]
        assert len(rows) == len(facts) == 2
        assert one.score.value == pytest.approx(np.mean(facts))
        assert one.score.low <= one.score.value <= one.score.high
        assert one.own or one.difference.mean == pytest.approx(one.score.value - own)
        assert one.own or one.p_value >= one.difference.p_value
    assert found.best.score.value == max(one.score.value for one in found.tried)


def test_what_is_tuned_is_a_recipe_to_run(tuned, world, tiny_checkpoint):
    """With the chosen settings, the recipe's own seeds and labels, and a folder beside that of the search."""
    best = read_tuning(tuned).best.values
    changed = [f"{key}={value}" for key, value in best.items()]
    wanted = recipe_of(world, tiny_checkpoint, tuned.parent / "search-run", *changed, tune=None)
    assert read_recipe(tuned / TUNED).model_dump() == wanted.model_dump()


def test_the_page_says_what_was_chosen_and_how_sure_that_is(tuned):
    """With how many examples, the settings to copy, and a row for each trial."""
    page = (tuned / PAGE).read_text(encoding="utf-8")
    assert "% on 12 English development texts" in page.replace("\u00a0", " ")
    assert "clearly better" in page or "keep them" in page
    assert "```yaml\ntrain:\n" in page
    assert page.count("\n| `trial-00") == 3
    report = (tuned / "report.html").read_text(encoding="utf-8")
    assert "clearly better" in report or "keep them" in report
    assert all((tuned / name).read_text(encoding="utf-8").count("trial-00") == 3 for name in files_of("tune")[1:])


def test_a_finished_search_is_told_again_and_trains_nothing(tuned, world, tiny_checkpoint):
    """No process is started."""
    before, starts = (tuned / PAGE).read_bytes(), Invented()
    assert tune(recipe_of(world, tiny_checkpoint, tuned), quiet=True, start=starts) == tuned
    assert starts.names == []
    assert (tuned / PAGE).read_bytes() == before


def test_a_search_that_was_stopped_goes_on(world, tiny_checkpoint, tmp_path):
    """With what it was at; nothing that was finished is tried again, and all ends as without the stop."""
    recipe, starts = recipe_of(world, tiny_checkpoint, tmp_path / "stopped"), Invented(stop="trial-001")
    with pytest.raises(KeyboardInterrupt):
        tune(recipe, quiet=True, start=starts)
    assert starts.names == ["trial-000", "trial-001"]
    tune(recipe, quiet=True, start=starts)
    assert starts.names == ["trial-000", "trial-001", "trial-001", "trial-002"]
    whole = tune(recipe_of(world, tiny_checkpoint, tmp_path / "whole"), quiet=True, start=Invented())
    assert values_of(tmp_path / "stopped") == values_of(whole)
    assert read_tuning(tmp_path / "stopped").best == replace(read_tuning(whole).best, seconds=ANY)


def test_a_killed_search_that_left_a_process_at_work_is_waited_for(world, tiny_checkpoint, tmp_path):
    """Two processes in one folder would make a failure of a trial that is none."""
    recipe, starts = recipe_of(world, tiny_checkpoint, tmp_path, "tune.trials=2"), Invented(stop="trial-001")
    with pytest.raises(KeyboardInterrupt):
        tune(recipe, quiet=True, start=starts)
    lock = FileLock(tmp_path / "trial-001" / ".lock")
    held = Event()

    def work_on():
        with lock:
            held.set()
            sleep(0.5)
            starts.names.append("the other process ends")

    (tmp_path / "trial-001").mkdir()
    beside = Thread(target=work_on)
    beside.start()
    held.wait()
    found = read_tuning(tune(recipe, quiet=True, start=starts))
    beside.join()
    assert starts.names == ["trial-000", "trial-001", "the other process ends", "trial-001"]
    assert {one.error for one in found.tried} == {None}


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (lambda rate: 50 if rate == 1e-2 else 40, "No other of the 3 combinations is above the recipe's own settings"),
        (
            lambda rate: 40 if rate == 1e-2 else 41,
            "The interval does not exclude zero: the tuned settings are not clea",
        ),
        (lambda rate: 30 if rate == 1e-2 else 50, "The tuned settings are clearly better than the recipe's"),
    ],
)
def test_better_is_said_only_of_what_chance_does_not_explain(world, tiny_checkpoint, tmp_path, right, said):
    """On sixty examples one more right answer is nothing, and twenty more are much."""
    recipe = recipe_of(world, tiny_checkpoint, tmp_path, "tune.seeds=1")
    found = read_tuning(tune(recipe, quiet=True, start=Invented(right=right)))
    assert found.best.clearly_better == ("are clearly better" in said)
    assert said in " ".join(findings(found))
    assert "on 60 English development" in next(findings(found))


def test_the_best_of_many_is_not_called_better_by_its_interval_alone():
    """Of so many combinations one lies above zero by chance; the p-value is corrected for them."""
    apart = Difference(0.05, 0.01, 0.1, 0.02, 0.0001)
    one = Tried("trial-001", False, {}, 1.0, None, Estimate(0.8, 0.7, 0.9), apart, p_value=0.38)
    assert not one.clearly_better
    assert replace(one, p_value=0.02).clearly_better


def test_a_folder_takes_more_trials(world, tiny_checkpoint, tmp_path):
    """The finished ones stay."""
    recipe, starts = recipe_of(world, tiny_checkpoint, tmp_path, "tune.trials=2", "tune.seeds=1"), Invented()
    tune(recipe, quiet=True, start=starts)
    tune(recipe_of(world, tiny_checkpoint, tmp_path, "tune.seeds=1"), quiet=True, start=starts)
    assert starts.names == ["trial-000", "trial-001", "trial-002"]


def test_a_trial_that_fails_takes_no_other_with_it(world, tiny_checkpoint, tmp_path):
    """It is reported, and nothing is made of it."""
    recipe = recipe_of(world, tiny_checkpoint, tmp_path, "tune.seeds=1")
    found = read_tuning(tune(recipe, quiet=True, start=Invented(fail={"trial-001"})))
    assert [one.error for one in found.tried] == [None, None, "the loss diverged"]
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "1 trial failed: trial-001: the loss diverged" in page
    assert "| `trial-001` | failed |" in page
    assert "crosses failed" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_without_the_recipes_own_settings_there_is_nothing_to_compare_with(world, tiny_checkpoint, tmp_path):
    """Which is said."""
    recipe = recipe_of(world, tiny_checkpoint, tmp_path, "tune.seeds=1")
    found = read_tuning(tune(recipe, quiet=True, start=Invented(fail={"trial-000"})))
    assert {one.difference for one in found.tried} == {None}
    assert "the recipe's own settings failed" in (tmp_path / PAGE).read_text(encoding="utf-8")


def test_where_all_fail_the_reasons_are_said(world, tiny_checkpoint, tmp_path):
    """In a line."""
    recipe = recipe_of(world, tiny_checkpoint, tmp_path, "tune.trials=2")
    with pytest.raises(RunError, match=r"all 2 combinations of settings failed.*: the loss diverged"):
        tune(recipe, quiet=True, start=Invented(fail={"trial-000", "trial-001"}))


def test_no_trial_begins_after_the_minutes_are_spent(world, tiny_checkpoint, tmp_path):
    """Those of an earlier session count, and more may be given later."""
    now = iter(range(0, 10_000, 40))  # each trial takes 40 seconds
    starts = Invented()

    def search(minutes):
        asked = recipe_of(world, tiny_checkpoint, tmp_path, f"tune.minutes={minutes}", "tune.trials=9", "tune.seeds=1")
        tune(asked, quiet=True, start=starts, clock=lambda: next(now))
        return len(starts.names)

    assert search(1) == 2
    assert search(1) == 2
    assert search(2) == 3


def test_no_combination_is_tried_twice(world, tiny_checkpoint, tmp_path):
    """Where all have been tried the search ends."""
    recipe = recipe_of(world, tiny_checkpoint, tmp_path, tune={"trials": 9, "settings": {"prompt.length": [1, 2, 3]}})
    tune(recipe, quiet=True, start=(starts := Invented()))
    assert len(starts.names) == 3
    assert sorted(values["prompt.length"] for _, values, _ in values_of(tmp_path)) == [1, 2, 3]


def test_another_search_in_the_folder_is_refused(tuned, world, tiny_checkpoint):
    """With what is another: what is searched, or the recipe."""
    with pytest.raises(RunError, match="of another search: settings is"):
        tune(recipe_of(world, tiny_checkpoint, tuned, "tune.settings={prompt.length: [1, 3]}"), quiet=True)
    with pytest.raises(RunError, match=r"another search: trials is"):
        tune(recipe_of(world, tiny_checkpoint, tuned, "seeds=[2, 3]"), quiet=True)
    with pytest.raises(RunError, match=r"train.batch_size is 8 there and 4 now"):
        tune(recipe_of(world, tiny_checkpoint, tuned, "train.batch_size=4"), quiet=True)


def test_searches_runs_and_comparisons_keep_apart(tuned, world, tiny_checkpoint, tmp_path):
    """Each has a folder of its own."""
    here = recipe_of(world, tiny_checkpoint, tuned, "seeds=[1]", "shots.k=0")
    with pytest.raises(RunError, match="holds a search of settings"):
        quick_compare(here.model_copy(update={"compare": None}))
    with pytest.raises(RunError, match="give the run a folder of its own"):
        run(here)
    recipe = recipe_of(world, tiny_checkpoint, tmp_path, "seeds=[1]", "shots.k=0", "tune.seeds=1")
    leave_trial(tmp_path, "k0-draw0-seed1", 3)
    write_json(tmp_path / "run.json", {"format": 1, "lingraft": "0", "meaning": MEANING})
    with pytest.raises(RunError, match="holds a run or a comparison"):
        tune(recipe, quiet=True, start=Invented())


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"settings": {"prompt.lenght": [4, 8]}}, "prompt.lenght 4: .*lenght"),
        ({"settings": {"train.batch_size": {"low": 0, "high": 8}}}, "train.batch_size 0: .*greater than 0"),
        ({"seeds": 4}, "4 are more than the recipe's 3 seeds"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_runs(world, tiny_checkpoint, tmp_path, asked, why):
    """With its name."""
    with pytest.raises(ConfigError, match=why):
        tune(recipe_of(world, tiny_checkpoint, tmp_path / "none", tune=asked), quiet=True)
    assert not (tmp_path / "none").exists()


def test_a_recipe_without_gradient_has_to_say_what_is_searched(world, tiny_checkpoint, tmp_path):
    """By default there is nothing."""
    with pytest.raises(ConfigError, match="name the settings to search"):
        tune(recipe_of(world, tiny_checkpoint, tmp_path, "train.num_train_epochs=0", tune={}), quiet=True)


def test_settings_of_the_target_languages_are_named(world, tiny_checkpoint, tmp_path):
    """The score cannot see what they gain."""
    asked = {"trials": 2, "settings": {"train.source_regularisation": [0.0, 2.0]}}
    tune(recipe_of(world, tiny_checkpoint, tmp_path, tune=asked), quiet=True, start=Invented())
    assert "Of train.source_regularisation it knows what the source" in (tmp_path / PAGE).read_text(encoding="utf-8")


def test_a_dry_run_says_what_is_searched_and_trains_nothing(world, tiny_checkpoint, tmp_path):
    """A line for each setting, and how many trials."""
    lines = describe_search(recipe_of(world, tiny_checkpoint, tmp_path / "none", "tune.minutes=90"))
    assert lines[:2] == [
        "train.learning_rate: 0.0001 to 0.1, on a logarithmic scale", "prompt.length: one of 1, 3",
    ]  # fmt: skip
    assert lines[2].startswith("3 trials of 2 trainings, about")
    assert lines[3] == "no further trial begins after 1 h 30 min"
    assert lines[4].startswith("chosen by ")
    assert lines[4].endswith("of eng-Latn, which can hardly tell settings apart: give a larger development set")
    assert lines[5].startswith("in all about")
    assert not (tmp_path / "none").exists()


def test_a_dry_run_counts_no_more_than_there_are_or_than_time_allows(world, tiny_checkpoint, tmp_path):
    """Two lengths and the recipe's own; and of a moment's budget the first trial alone."""
    two = ["tune.trials=20", "tune.settings={prompt.length: [5, 6]}"]
    few = describe_search(recipe_of(world, tiny_checkpoint, tmp_path / "none", *two))
    assert few[1].startswith("3 trials of 2 trainings, about")
    short = describe_search(recipe_of(world, tiny_checkpoint, tmp_path / "none", "tune.minutes=0.001"))
    each, whole = (re.search(r"about ([\d.]+ \w+)", line)[1] for line in (short[2], short[-1]))
    assert each == whole


def test_without_optuna_a_line_says_what_to_install(world, tiny_checkpoint, tmp_path, monkeypatch):
    """And nothing is trained."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RunError, match=r"pip install 'lingraft\[tune\]'"):
        tune(recipe_of(world, tiny_checkpoint, tmp_path), quiet=True, start=(starts := Invented()))
    assert starts.names == []


def test_the_command_shows_the_table(tuned, world, tiny_checkpoint, tmp_path):
    """And what to run."""
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_of(world, tiny_checkpoint, tuned).to_yaml(), encoding="utf-8")
    shown = CliRunner().invoke(app, ["tune", str(path), "--quiet"])
    assert shown.exit_code == 0, shown.output
    assert "trial-002" in shown.output
    assert f"lingraft run {tuned / TUNED}" in shown.output.replace("\n", "")
    dry = CliRunner().invoke(app, ["tune", str(path), "--dry-run"])
    assert "prompt.length: one of 1, 3" in dry.output
