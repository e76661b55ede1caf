"""The recipe of ``examples/tuning``: what it searches fits it, and searched small it gives a recipe to run."""

import pytest

from lingraft.experiments.tuning import TUNED, plan_search, tune
from lingraft.recipe.parsing import read_recipe
from lingraft.results.tuning import read_tuning
from quick_run import start_here
from tiny import REPOSITORY

RECIPE = REPOSITORY / "examples" / "tuning" / "sib200.yaml"
SMALL = [
    *("train.num_train_epochs=1", "shots.source_examples=30", "train.max_pairs=0", "task.target_languages=[yor-Latn]"),
    *("tune.trials=2", "backbone.max_length=32"),
]


def test_what_is_searched_fits_the_recipe():
    """Each end of each range, and each choice; the recipe's own settings lie among them."""
    search = plan_search(read_recipe(RECIPE))
    assert list(search.own) == list(search.space)


@pytest.mark.checkpoint
@pytest.mark.shared
def test_a_small_search_on_the_embedded_checkpoint(e5, shared_data, tmp_path):
    """Two trials are scored on the English development sentences, and the better one is a recipe."""
    place = [f"output_dir={tmp_path / 'search'}", f"task.data_dir={shared_data / 'sib200'}"]
    folder = tune(read_recipe(RECIPE, [*SMALL, *place]), quiet=True, start=start_here)
    found = read_tuning(folder)
    assert found.examples == 99
    assert [one.error for one in found.tried] == [None, None]
    assert all(0.14 < one.score.value <= 1 for one in found.tried)
    assert read_recipe(folder / TUNED).train.learning_rate == found.best.values["train.learning_rate"]
