"""The recipes of ``examples/tasks``: they are read, and those that align words differ from the others in that alone."""

from pathlib import Path

import pytest

from lingraft.experiments.possible import check_comparison
from lingraft.recipe.parsing import read_recipe
from lingraft.results.run_files import read_run
from lingraft.runs.identity import flatten
from quick_run import run
from tiny import REPOSITORY

FOLDER = REPOSITORY / "examples" / "tasks"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_is_read_and_says_how_it_is_run(path):
    """Into a folder of its own, by the command in its comment."""
    recipe = read_recipe(path, [])
    assert recipe.output_dir == Path("runs/tasks") / path.stem.replace("_", "-")
    assert f"#   lingraft run examples/tasks/{path.name}" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "also"), [("xquad", {"parallel"}), ("masakhaner", {"prompt", "adapter"})], ids=["xquad", "masakhaner"]
)
def test_token_alignment_is_all_that_is_changed(name, also):
    """So that both runs may be compared."""
    plain, tokens = (read_recipe(FOLDER / f"{name}{more}.yaml", []).model_dump(mode="json") for more in ("", "_tokens"))
    one, other = flatten(plain), flatten(tokens)
    changed = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    assert {key.split(".")[0] for key in changed} == {"output_dir", "alignment", "train", "compare"} | also
    assert {key for key in changed if key.startswith("train.")} == {"train.source_regularisation"}


@pytest.mark.parametrize("name", ["xquad_tokens", "masakhaner_tokens"])
def test_what_token_alignment_is_compared_with_is_possible(name):
    """All that is compared differs from the recipe in its losses alone, and nothing of it is left out."""
    recipe = read_recipe(FOLDER / f"{name}.yaml", [])
    assert check_comparison(recipe, None) == {}
    assert {key for variant in recipe.compare.variants.values() for key in variant} == {"alignment", "train"}
    assert recipe.compare.variants["without"] == {"alignment": []}


@pytest.mark.shared
@pytest.mark.usefixtures("shared_data")
def test_words_of_news_are_aligned_while_names_are_learnt(tiny_checkpoint, tmp_path, monkeypatch):
    """The recipe on a tiny model and some of its data, to the end."""
    monkeypatch.chdir(REPOSITORY)
    small = [
        *(f"backbone.checkpoint={tiny_checkpoint}", "backbone.cut=1", "backbone.max_length=64", "device=cpu"),
        *("task.train_from.examples=60", "task.train_from.hold_out=20", "shots.k=0", "parallel.pairs=20"),
        *("alignment.0.layer=2", "train.num_train_epochs=1", f"output_dir={tmp_path / 'run'}"),
        *("adapter.rank=2", "prompt.length=2", "backbone.precision=float32"),
    ]
    found = read_run(run(read_recipe(FOLDER / "masakhaner_tokens.yaml", small)))
    (epoch,) = found.training
    assert epoch["alignment_loss"] > 0
    assert {score.language for score in found.scores} >= {"hau-Latn", "yor-Latn"}
