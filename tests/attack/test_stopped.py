"""A command that is asked to end, from the keyboard or by a signal, says so and can be continued."""

import os
import signal
import time
from pathlib import Path

import pytest

from attack.record import record
from invented import TARGET, world_recipe, write_world
from lingraft.cli.main import main
from lingraft.core.files import TEMPORARY, locked_or_refused, watch_writes
from lingraft.recipe.parsing import read_recipe
from posix_only import signal_called
from quick_run import differing, run
from second_reader import contradictions

pytestmark = [pytest.mark.attack, pytest.mark.usefixtures("usual_signals")]

SMALL = [
    *("seeds=[1]", "train.num_train_epochs=2", "train.batch_size=8", "device=cpu", "prompt.name=input"),
    *("prompt.length=2", "adapter.name=bottleneck", "adapter.width=4"),
]


TIMED = {"summary.json", "trial.json", "training.jsonl"}
"""Files that say how long something took, by a clock that moves."""


@pytest.fixture(scope="module")
def written(tmp_path_factory, tiny_checkpoint):
    """A function that writes a small recipe into a file, for a folder of its own."""
    world = write_world(tmp_path_factory.mktemp("world"), train=12, dev=6, test=6, pairs=8)

    def write(output, *overrides, **changes):
        wanted = world_recipe(
            world,
            [*SMALL, f"output_dir={output}", *overrides],
            backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32},
            parallel={"files": str(world / f"pairs.{TARGET}.tsv")},
            **changes,
        )
        path = output.with_suffix(".yaml")
        path.write_text(wanted.to_yaml(), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_stopped_run_says_so_and_continues(command, written, tmp_path, name):
    """After its first epoch: the exit code is the signal's, nothing half-written is left, and the end is the same."""
    number = signal_called(name)
    path, whole = written(tmp_path / "a-run"), run(read_recipe(written(tmp_path / "b-run")))
    state = tmp_path / "a-run" / "trials" / "k0-draw0-seed1" / "training.safetensors"

    def stop(stage, path, temporary):
        if (stage, path) == ("flush", state) and state.exists():
            os.kill(os.getpid(), number)

    with watch_writes(stop):
        done = command("run", path)

    said = done.err.splitlines()[-1]
    kept, left = state.exists(), [*(tmp_path / "a-run").rglob(f"{TEMPORARY}*")]
    continued = run(read_recipe(path))
    others = {Path(name).name for name in differing(continued, whole)} - TIMED
    found = (done.code, kept, left, others, contradictions(continued))
    held = found == (128 + number, True, [], set(), []) and said.startswith(
        "stopped; what a run or a comparison has finished is kept"
    )
    record("a run asked to end by a signal", tried=1, held=int(held))
    assert held, (said, found)


def test_a_stopped_comparison_takes_its_worker_along(written, tmp_path, fork):
    """Asked to end amid a method, it ends with the signal's exit code, and the method's process is gone with it."""
    compared = {"methods": ["lingraft"], "learning_rates": {"lingraft": [1e-3]}}
    output = tmp_path / "compared"
    path = written(output, "train.num_train_epochs=1000", compare=compared)
    process = fork.Process(target=main, args=(["compare", str(path), "--quiet"],))
    process.start()
    place = output / "lingraft" / "trials" / "k0-draw0-seed1"
    while not (place / "training.safetensors").exists() and process.is_alive():
        time.sleep(0.05)
    with pytest.raises(BlockingIOError), locked_or_refused(output / "lingraft" / ".lock"):
        pass  # the worker holds its folder

    os.kill(process.pid, signal.SIGTERM)
    process.join(timeout=60)

    with locked_or_refused(output / "lingraft" / ".lock"):  # nobody does any more
        left = [*output.rglob(f"{TEMPORARY}*")]
    held = process.exitcode == 128 + signal.SIGTERM and left == [] and (place / "training.safetensors").exists()
    record("a comparison asked to end by a signal", tried=1, held=int(held))
    assert (process.exitcode, left) == (128 + signal.SIGTERM, [])
    assert held
