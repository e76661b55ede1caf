"""A training that harms the source language says so wherever it is reported."""

import pytest

from invented import world_recipe, write_world
from lingraft.core.files import read_lines, read_object
from lingraft.core.progress import Reporter
from lingraft.results.pages import write_pages
from quick_run import run

SMALL = [
    *("train.num_train_epochs=1", "train.batch_size=8", "train.last_layer_strength=null", "seeds=[1]", "device=cpu"),
    *("shots.k=0", "prompt=null", "adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=0"),
]


@pytest.fixture
def trained(tiny_checkpoint, tmp_path, capfd):
    """A function that runs at a learning rate, quietly: the run's folder, and what it printed all the same."""
    (tmp_path / "world").mkdir()
    world = write_world(tmp_path / "world", train=60, dev=30, test=6, pairs=6)

    def run_it(rate, *overrides):
        small = [*SMALL, f"train.learning_rate={rate}", f"output_dir={tmp_path / f'run-{rate}'}", *overrides]
        backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
        folder = run(
            world_recipe(world, small, backbone=backbone, alignment=[]),
            reporter=Reporter(quiet=True, clock=lambda: 0.0),
            pages=write_pages,
        )
        return folder, capfd.readouterr().err

    return run_it


def test_a_fall_of_the_source_is_said_everywhere(trained):
    """On the terminal, also a quiet one; in the summary, the report and the model card."""
    folder, printed = trained(1.0)
    summary = read_object(folder / "summary.json")
    (trial,) = summary["trials"]
    change = summary["trials"][trial]["source_change"]
    assert change["before"] == pytest.approx(summary["trials"][trial]["head_dev_score"])
    assert change["after"] == summary["trials"][trial]["dev_score"]
    assert change["high"] < 0
    assert summary["source_falls"] == {trial: change}
    assert f"warning: {trial}: training cost English" in printed
    for page in ("report.html", "README.md"):
        assert "Training cost English, which the task is learnt in" in (folder / page).read_text(encoding="utf-8")
    rows = list(read_lines(folder / "trials" / trial / "development.jsonl"))
    assert len({row["id"] for row in rows}) == change["n"] == 30
    assert sum(row["counts"][0] for row in rows) / 30 == pytest.approx(change["after"])
    kept = read_object(folder / "retention.json")["source_score"]
    assert (kept["low"], kept["high"]) == (change["low"], change["high"])


def test_a_run_that_goes_on_from_another_is_compared_with_that(trained):
    """What was lost there already is not lost again."""
    first, _ = trained(1.0)
    after = read_object(first / "summary.json")["trials"]["k0-draw0-seed1"]["source_change"]["after"]
    folder, printed = trained(1e-4, f"train.continue_from={first}")
    summary = read_object(folder / "summary.json")
    assert summary["trials"]["k0-draw0-seed1"]["source_change"]["before"] == after
    assert summary["source_falls"] == {}
    assert "training cost" not in printed
    assert read_object(folder / "retention.json")["source_score"]["low"] is None  # of the frozen head it says nothing
