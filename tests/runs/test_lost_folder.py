"""A run folder that is taken away while its run works ends the run in one line, and nothing is made in its place."""

import shutil

import pytest

from invented import TARGET, world_recipe, write_world
from lingraft.core.errors import RunError
from lingraft.core.files import write_text
from lingraft.runs.folder import open_run_folder
from quick_run import QUIET, Stopping, content, differing, run

SMALL = [
    *("seeds=[1,2]", "train.num_train_epochs=1", "train.batch_size=8", "device=cpu", "prompt.name=input"),
    *("prompt.length=2", "adapter.name=bottleneck", "adapter.width=4"),
]


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


def empty(folder):
    """Remove all that a shell's `*` names, so that the hidden lock stays."""
    for path in folder.glob("[!.]*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


LOST = {
    "deleted": shutil.rmtree,
    "emptied": empty,
    "renamed": lambda folder: folder.rename(folder.with_name("elsewhere")),
}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("step", [1, 3])
def test_nothing_is_written_where_the_folder_was(start, tmp_path, lost, step):
    """Taken away amid the first or the second trial: one line names the folder, and there is nothing afterwards."""
    folder = tmp_path / "run"
    with pytest.raises(RunError) as caught:
        start(folder, reporter=Stopping(step, of="training", stop=lambda: LOST[lost](folder)))
    assert str(caught.value).startswith(
        f"{folder} is no longer the folder of this run: it was deleted, emptied, renamed"
    )
    assert "\n" not in str(caught.value)
    assert [path for path in folder.rglob("*") if path.name != ".lock"] == []


def test_a_renamed_folder_continues_under_its_name(start, tmp_path):
    """What it held is whole; given as the output folder, or moved back, the run goes on to the same end."""
    folder, elsewhere = tmp_path / "a-run", tmp_path / "elsewhere"
    with pytest.raises(RunError):
        start(folder, reporter=Stopping(3, of="training", stop=lambda: folder.rename(elsewhere)))
    elsewhere.rename(folder)
    assert differing(start(folder), start(tmp_path / "b-run")) == []


def test_another_s_run_in_the_same_place_is_left_alone(start, tmp_path):
    """Deleted, and begun anew by somebody else with other seeds: the first run leaves that one as it is."""
    folder, other = tmp_path / "run", start(tmp_path / "other", "seeds=[3]")
    theirs = content(other)

    def replace():
        shutil.rmtree(folder)
        other.rename(folder)

    with pytest.raises(RunError, match="is no longer the folder of this run"):
        start(folder, reporter=Stopping(3, of="training", stop=replace))
    folder.rename(other)
    assert content(other) == theirs


@pytest.mark.parametrize("name", ["trials/k0-draw0-seed1", "predictions/k0-draw0-seed1"])
def test_a_trial_taken_away_is_not_counted(start, tmp_path, name):
    """Deleted while the next one trains: the run is not called finished, and run again it makes the trial anew."""
    folder, whole = tmp_path / "a-run", start(tmp_path / "b-run")
    with pytest.raises(RunError, match=r"k0-draw0-seed1: .* is missing, since this run wrote it; run the recipe again"):
        start(folder, reporter=Stopping(3, of="training", stop=lambda: shutil.rmtree(folder / name)))
    assert not (folder / "README.md").exists()
    assert not (folder / "scores.jsonl").exists()
    assert differing(start(folder), whole) == []


def test_writes_beside_a_lost_folder_go_on(tmp_path):
    """Only what lies in the folder is refused."""
    wanted = world_recipe(tmp_path, [f"output_dir={tmp_path / 'run'}"])
    with open_run_folder(tmp_path / "run", wanted) as folder:
        shutil.rmtree(folder)
        write_text(tmp_path / "beside.txt", "kept")
        with pytest.raises(RunError):
            write_text(folder / "inside.txt", "lost")
    assert [path.name for path in tmp_path.iterdir()] == ["beside.txt"]
