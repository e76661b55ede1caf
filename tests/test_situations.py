"""Ordinary situations, each a recipe in ``examples/situations``: they run, and leave what they promise."""

import re
from pathlib import Path

import pytest

from lingraft.core.files import read_object
from lingraft.data.table import read_table
from lingraft.recipe.parsing import read_recipe
from lingraft.results.run_files import read_run
from lingraft.runs.given import given_data
from lingraft.serving.loading import load
from quick_run import run
from tiny import REPOSITORY

FOLDER = REPOSITORY / "examples" / "situations"
RECIPES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SMALL = [
    *("train.num_train_epochs=1", "seeds=[1]", "device=cpu", "backbone.max_length=32"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]

SWAHILI, COAST = "swh-Latn", "swh-Latn-x-coast"
PAGE = (REPOSITORY / "docs" / "situations.md").read_text(encoding="utf-8")


def counts(cell):
    """Languages with their numbers, as the page's table has them."""
    return {code: int(number) for code, number in (one.split() for one in cell.split(", "))}


PROMISED = {
    name: (counts(labelled), counts(tested))
    for name, labelled, tested in re.findall(r"^\| \[(\w+)\]\([^)]*\) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
}
"""By recipe: how many labels of each language are learnt from, and how many texts are scored."""


def in_memory(split, name):
    """Give a table of the folder as a list of dicts."""
    return {split: [row for _, row in read_table(FOLDER / "data" / name)]}


GIVEN = {"data_in_memory": in_memory("train", "english.csv") | in_memory("test", "swahili_test.csv")}
"""What is given in Python beside a recipe."""


@pytest.fixture
def situation(tiny_checkpoint, tmp_path, monkeypatch):
    """A function that runs a recipe of the folder, and returns the run's folder."""
    monkeypatch.chdir(REPOSITORY)

    def run_it(name, *overrides):
        small = [*SMALL, f"backbone.checkpoint={tiny_checkpoint}", f"output_dir={tmp_path / name}", *overrides]
        with given_data(GIVEN.get(name)) as settings:
            return run(read_recipe(Path("examples/situations") / f"{name}.yaml", [*settings, *small]))

    return run_it


def test_every_recipe_has_a_promise_and_a_paragraph():
    """What is in the folder is run here, and told in the documentation."""
    assert sorted(PROMISED) == RECIPES
    assert [name for name in RECIPES if f"[recipe](../examples/situations/{name}.yaml)" not in PAGE] == []


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_short(name):
    """Ten lines at most."""
    assert len((FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()) <= 10


@pytest.mark.parametrize("name", RECIPES)
def test_a_situation_runs(situation, name):
    """It learns from what it promises, and scores what it promises, in the languages that it names and no other."""
    folder = situation(name)
    labelled, tested = PROMISED[name]
    found = read_run(folder)
    languages = read_object(folder / "data.json")["languages"]
    assert {code: facts["texts"]["train"] for code, facts in languages.items()} == labelled
    assert {code: max((s.n for s in found.scores if s.language == code), default=0) for code in languages} == tested
    assert (folder / "adaptation.safetensors").is_file()


def test_a_model_without_a_test_set_predicts(situation):
    """It has learnt, and answers as any other."""
    folder = situation("no_test_set")
    (answer,) = load(folder).predict(["Mvua itanyesha kesho."], language="sw")
    assert answer.value in ("health", "market", "weather")
    assert len((situation("unlabelled_test") / f"answers.{SWAHILI}.jsonl").read_text().splitlines()) == 12


def test_a_finished_run_continues(situation):
    """With another language, beside which the run without it stays whole, and with another seed."""
    test = "swahili_test.csv"
    first = situation("continued", "task.target_languages=[swh-Latn]", f"task.files.test={{swh: {test}}}")
    made = (first / "adaptation.safetensors").read_bytes()
    folder = situation("continued")
    assert (folder / "earlier" / "1-target" / "adaptation.safetensors").read_bytes() == made
    assert situation("continued", "seeds=[1,2]") == folder
    scores = read_run(folder).scores
    assert {(score.language, score.seed) for score in scores} == {
        (code, seed) for code in (SWAHILI, COAST) for seed in (1, 2)
    }
