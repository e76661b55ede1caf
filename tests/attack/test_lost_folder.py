"""Whole runs whose folder is taken away or spoilt by somebody else while they work."""

import shutil

import pytest

from attack.record import record
from invented import TARGET, world_recipe, write_world
from lingraft.core.errors import RunError
from lingraft.core.files import watch_writes
from quick_run import QUIET, Stopping, content, differing, quick_compare, run
from taken_away import LOST

pytestmark = pytest.mark.attack

SMALL = [
    *("seeds=[1,2]", "train.num_train_epochs=1", "train.batch_size=8", "device=cpu", "prompt.name=input"),
    *("prompt.length=2", "adapter.name=bottleneck", "adapter.width=4"),
]
FIRST, SECOND = 1, 3
"""A step of each trial's training."""


@pytest.fixture(scope="module")
def start(tmp_path_factory, tiny_checkpoint):
    """A function that runs one small recipe in any folder."""
    world = write_world(tmp_path_factory.mktemp("world"), train=12, dev=6, test=6, pairs=8)

    def begin(folder, *overrides, reporter=QUIET):
        wanted = world_recipe(
            world,
            [*SMALL, f"output_dir={folder}", *overrides],
            backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32},
            parallel={"files": str(world / f"pairs.{TARGET}.tsv")},
        )
        return run(wanted, reporter=reporter)

    return begin


def interfere(start, folder, act, step=SECOND):
    """Run, and do something to the folder at a step; what the run said when it ended."""
    with pytest.raises(RunError) as caught:
        start(folder, reporter=Stopping(step, of="training", stop=lambda: act(folder)))
    return str(caught.value)


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("step", [FIRST, SECOND])
def test_a_folder_taken_away_ends_the_run_in_one_line(start, tmp_path, lost, step):
    """Amid the first or the second trial: nothing is made where it was, and nothing is called finished."""
    folder, there = tmp_path / "run", []

    def take_away(folder):
        LOST[lost](folder)
        there.append(sorted(folder.rglob("*")))

    said = interfere(start, folder, take_away, step)
    held = said.startswith(f"{folder} is no longer the folder of this run") and "\n" not in said
    held = held and [sorted(folder.rglob("*"))] == there and not (folder / "README.md").exists()
    record("a run folder taken away while its run works", tried=1, held=int(held))
    assert held, said


def test_a_renamed_folder_continues_under_its_name(start, tmp_path):
    """What it held is whole: moved back, the run goes on to the same end."""
    folder, elsewhere = tmp_path / "a-run", tmp_path / "elsewhere"
    interfere(start, folder, lambda folder: folder.rename(elsewhere))
    elsewhere.rename(folder)
    assert differing(start(folder), start(tmp_path / "b-run")) == []


def test_a_run_without_its_lock_continues(start, tmp_path):
    """Another run may have begun in the same folder, so the first stops; what is there goes on to the same end."""
    folder = tmp_path / "a-run"
    interfere(start, folder, LOST["left without its lock"])
    assert differing(start(folder), start(tmp_path / "b-run")) == []


def test_another_s_run_in_the_same_place_is_left_alone(start, tmp_path):
    """Deleted, and begun anew by somebody else with other seeds: the first run leaves that one as it is."""
    folder, other = tmp_path / "run", start(tmp_path / "other", "seeds=[3]")
    theirs = content(other)

    def replace(folder):
        shutil.rmtree(folder)
        other.rename(folder)

    interfere(start, folder, replace)
    folder.rename(other)
    held = content(other) == theirs
    record("another run in the place of a run's folder", tried=1, held=int(held))
    assert held


def remove(path):
    """Delete a file or a folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


REMOVED = [
    *("recipe.yaml", "data.json", "trials/k0-draw0-seed1", "predictions/k0-draw0-seed1"),
    *("trials/k0-draw0-seed1/adaptation.safetensors", "predictions/k0-draw0-seed1/yor-Latn.jsonl"),
]


@pytest.mark.parametrize("name", REMOVED)
def test_a_run_is_not_called_finished_without_one_of_its_files(start, tmp_path, name):
    """Removed while the second trial trains: one line names it, and run again the end is that of any other run."""
    folder = tmp_path / "a-run"
    said = interfere(start, folder, lambda folder: remove(folder / name))
    held = str(folder / name) in said and "\n" not in said and not (folder / "README.md").exists()
    held = held and differing(start(folder), start(tmp_path / "b-run")) == []
    record("a file of a run removed while it works", tried=1, held=int(held))
    assert held, said


@pytest.mark.parametrize("amid", ["frozen-head", "lingraft"])
def test_a_comparison_s_folder_taken_away_is_not_made_again(tmp_path, tiny_checkpoint, amid):
    """Amid the first method or the last: no other method begins there, and one line says why."""
    world = write_world(tmp_path, train=12, dev=6, test=6, pairs=8)
    output = tmp_path / "compared"

    def take_away(stage, path, temporary):
        if stage == "done" and path == output / amid / "trials" / "k0-draw0-seed1" / "identity.json":
            shutil.rmtree(output)

    wanted = world_recipe(
        world,
        [*SMALL, "seeds=[1]", f"output_dir={output}"],
        backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32},
        parallel={"files": str(world / f"pairs.{TARGET}.tsv")},
        compare={"methods": ["frozen-head", "lingraft"], "learning_rates": {"lingraft": [1e-2]}},
    )
    with watch_writes(take_away), pytest.raises(RunError, match="is no longer the folder of this run") as caught:
        quick_compare(wanted)
    held = not output.exists() and "\n" not in str(caught.value)
    record("a comparison's folder taken away while it works", tried=1, held=int(held))
    assert held, caught.value
