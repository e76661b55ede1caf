"""A run that cross-validates, killed anywhere in a fold or between folds: it goes on, and ends in the same bits."""

import pytest

from attack.sample import sampled
from attack.test_crash import SAVED, Killed, Points, faults, kill, leave_half
from invented import labelled_texts, write_csv
from lingraft.core.files import watch_writes
from lingraft.recipe.parsing import parse_recipe
from quick_run import QUIET, Stopping, run
from second_reader import contradictions

pytestmark = pytest.mark.attack

PARTS = [
    *("prompt.name=deep", "prompt.length=2", "train.num_train_epochs=1", "train.batch_size=8", "device=cpu"),
    *("adapter.name=bottleneck", "adapter.width=4", "seeds=[1]", "shots.folds=2"),
]


@pytest.fixture
def start(tiny_checkpoint, tmp_path, monkeypatch):
    """A function that runs a recipe without a test set in a folder of that name, with a cache of its own."""
    write_csv(tmp_path / "labels.csv", ["text", "label"], labelled_texts(24))
    task = {"name": "classification", "language": "twi-Latn", "files": str(tmp_path / "labels.csv")}
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}

    def begin(name, *, reporter=QUIET, save_every=SAVED):
        monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / f"{name}-cache"))
        wanted = parse_recipe({"task": task, "backbone": backbone}, [*PARTS, f"output_dir={tmp_path / name}"])
        return run(wanted, reporter=reporter, save_every=save_every)

    return begin


def test_a_cross_validation_killed_at_any_write_ends_the_same(start):
    """Nothing of a fold is lost, learnt twice into one table, or left behind."""
    points = Points()
    with watch_writes(points):
        whole = start("whole-run")
    assert contradictions(whole) == []
    at_folds = [at for at, (_, path) in enumerate(points.seen, start=1) if "folds" in path.parts]
    tried = sampled(at_folds, 6) + sampled(range(1, len(points.seen) + 1), 4)
    for at in tried:
        with watch_writes(Points(at, leave_half)), pytest.raises(Killed):
            start("stopped-run")
        assert faults(start, "stopped-run", whole) == [], points.seen[at - 1]


def test_a_cross_validation_killed_at_any_step_ends_the_same(start):
    """With the state of the fold saved at each step, or never."""
    steps = Stopping(10**9)
    whole = start("whole-run", reporter=steps)
    tried = sampled([(at, every) for at in range(1, 10**9 - steps.left + 1) for every in (SAVED, 1e9)], 5)
    for at, every in tried:
        with pytest.raises(Killed):
            start("stopped-run", reporter=Stopping(at, stop=kill), save_every=every)
        assert faults(start, "stopped-run", whole) == [], (at, every)
