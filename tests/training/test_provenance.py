"""What each score says that it came from."""

import json

import torch

from invented import world_recipe, write_world
from lingraft.core.files import read_lines
from lingraft.core.version import __version__, source_revision
from quick_run import run

SMALL = [
    *("train.num_train_epochs=1", "train.batch_size=8", "device=cpu", "seeds=[1,2]", "backbone.precision=float32"),
    *("prompt.name=deep", "prompt.length=2", "adapter.name=bottleneck", "adapter.width=4"),
]


def scores(world, checkpoint, output, *overrides):
    """All lines of a small run's ``scores.jsonl``."""
    recipe = world_recipe(
        world, [*SMALL, f"output_dir={output}", *overrides], backbone={"checkpoint": str(checkpoint), "max_length": 32}
    )
    return list(read_lines(run(recipe) / "scores.jsonl"))


def test_every_line_says_version_digests_device_and_threads(tmp_path, tiny_checkpoint):
    """The same for all trials of a run, but the data of another draw."""
    world = write_world(tmp_path, train=24, dev=8, test=8)
    rows = scores(world, tiny_checkpoint, tmp_path / "one", "shots.k=1", "shots.draws=2")
    for row in rows:
        assert (row["version"], row["revision"]) == (__version__, source_revision())
        assert (row["device"], row["precision"], row["threads"]) == ("cpu", "float32", torch.get_num_threads())
    assert len({(row["recipe"], row["backbone"]) for row in rows}) == 1
    assert len({(row["draw"], row["data"]) for row in rows}) == 2
    noted = json.loads((tmp_path / "one" / "trials" / "k1-draw0-seed1" / "identity.json").read_text())
    assert noted["settings"].startswith(rows[0]["recipe"])
    assert noted["backbone"].startswith(rows[0]["backbone"])


def test_another_setting_is_another_recipe_and_other_texts_are_other_data(tmp_path, tiny_checkpoint):
    """And nothing else of the two changes with them."""
    world = write_world(tmp_path, train=24, dev=8, test=8)
    first = scores(world, tiny_checkpoint, tmp_path / "one")[0]
    slower = scores(world, tiny_checkpoint, tmp_path / "two", "train.learning_rate=1e-4")[0]
    fewer = scores(world, tiny_checkpoint, tmp_path / "three", "shots.source_examples=16")[0]
    assert slower["recipe"] != first["recipe"]
    assert slower["data"] == first["data"]
    assert fewer["data"] != first["data"]
