"""The recipes of ``examples/tokens``: variants differ in what they are named after, and learn for as many steps."""

import pytest

from lingraft.experiments.methods import list_methods
from lingraft.experiments.possible import check_comparison
from lingraft.recipe.parsing import read_recipe
from lingraft.results.run_files import read_run
from lingraft.runs.identity import flatten
from quick_run import run
from tiny import REPOSITORY

FOLDER = REPOSITORY / "examples" / "tokens"
BLOCKS = {
    "words-aligned": {"alignment"},
    "switched": {"pseudo"},
    "consistent": {"consistency"},
    "projected": {"pseudo"},
    "projected-to-the-end": {"pseudo"},
    "projected-once": {"pseudo"},
    "projected-and-aligned": {"alignment", "pseudo"},
    "all": {"alignment", "pseudo", "consistency"},
}


def recipe_of(name, *overrides):
    """The recipe of a comparison."""
    return read_recipe(FOLDER / f"{name}.yaml", overrides)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_variants_differ_in_what_they_are_named_after(path):
    """And in how many passes and pairs these need; nothing of a comparison is left out."""
    recipe = recipe_of(path.stem)
    assert check_comparison(recipe, None) == {}
    assert f"#   lingraft compare examples/tokens/{path.name}" in path.read_text(encoding="utf-8")
    methods = {method.name: flatten(method.recipe.model_dump(mode="json")) for method in list_methods(recipe)}
    plain = methods.pop("lingraft")
    assert methods
    for name, settings in methods.items():
        changed = {key for key in plain.keys() | settings.keys() if plain.get(key) != settings.get(key)}
        beside = {"output_dir", "train.num_train_epochs", "train.max_pairs", "train.shot_repeats"}
        assert {key.split(".")[0] for key in changed - beside} == BLOCKS[name], name


@pytest.mark.parametrize("name", ["xquad", "pawsx"])
def test_labelled_copies_in_two_languages_are_seen_half_as_often(name):
    """A pass over them has twice as many steps."""
    epochs = {one.name: one.recipe.train.num_train_epochs for one in list_methods(recipe_of(name))}
    assert epochs.pop("switched") * 2 == epochs["lingraft"]
    assert epochs.pop("all", epochs["lingraft"] / 2) * 2 == epochs["lingraft"]
    assert len(set(epochs.values())) == 1


@pytest.mark.shared
@pytest.mark.usefixtures("shared_data")
def test_words_of_news_are_aligned_while_names_are_learnt(tiny_checkpoint, tmp_path, monkeypatch):
    """The variant on a tiny model and some of its data, to the end."""
    monkeypatch.chdir(REPOSITORY)
    small = [
        *(f"backbone.checkpoint={tiny_checkpoint}", "backbone.cut=1", "backbone.max_length=64", "device=cpu"),
        *("task.train_from.examples=60", "task.train_from.hold_out=20", "shots.k=0", "parallel.pairs=20"),
        *("train.num_train_epochs=1", "train.max_pairs=null", f"output_dir={tmp_path / 'run'}"),
        *("adapter.rank=2", "prompt.length=2", "backbone.precision=float32", "compare=null"),
        "alignment=[{name: words, layer: 2, weight: 0.1}, {name: words, weight: 0.1}]",
    ]
    found = read_run(run(recipe_of("masakhaner", *small)))
    (epoch,) = found.training
    assert epoch["alignment_loss"] > 0
    assert {score.language for score in found.scores} >= {"hau-Latn", "yor-Latn"}
