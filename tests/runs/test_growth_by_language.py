"""A folder grows by a language: the run that was there stays whole, and all languages are learnt together."""

import shutil

import pytest

from invented import SOURCE, TARGET, world_recipe, write_world
from lingraft.core.errors import RunError
from lingraft.results.run_files import read_run
from lingraft.runs.folder import folder_problems
from lingraft.runs.growth import earlier_place, set_aside
from lingraft.serving.loading import load
from quick_run import content, differing, run

OTHER = "hau-Latn"
SMALL = [
    *("train.num_train_epochs=1", "train.batch_size=8", "train.learning_rate=1e-2", "device=cpu", "seeds=[1]"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1", "shots.k=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables, with a second target language that has the first one's texts."""
    folder = write_world(tmp_path_factory.mktemp("world"), train=24, dev=6, test=8, pairs=10)
    for split in ("train", "test"):
        shutil.copy(folder / f"{TARGET}.{split}.csv", folder / f"{OTHER}.{split}.csv")
    return folder


def raw(folder):
    """Every file with its bytes, the lock left out."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("[!.]*") if path.is_file()}


def recipe(world, checkpoint, output, targets, *overrides):
    """A run of some target languages."""
    values = world_recipe(
        world, [*SMALL, f"output_dir={output}", *overrides], backbone={"checkpoint": str(checkpoint), "max_length": 32}
    ).model_dump(mode="json", by_alias=True)
    values["task"]["target_languages"] = targets
    return type(world_recipe(world)).model_validate(values)


@pytest.fixture(scope="module")
def first(world, tiny_checkpoint, tmp_path_factory):
    """A finished run of one target language."""
    return run(recipe(world, tiny_checkpoint, tmp_path_factory.mktemp("runs") / "run", [TARGET]))


@pytest.fixture
def folder(first, tmp_path):
    """A copy of it, in a folder of the same name."""
    return shutil.copytree(first, tmp_path / "run")


def test_a_run_grown_by_a_language_is_that_of_a_run_from_scratch(world, tiny_checkpoint, folder, tmp_path):
    """In every file; and the run that was there is whole, to be loaded, scored and reported as before."""
    before = raw(folder)
    wanted = recipe(world, tiny_checkpoint, folder, [TARGET, OTHER])
    assert folder_problems(folder, wanted) == []
    assert run(wanted) == folder
    earlier = folder / "earlier" / "1-target"
    whole = run(recipe(world, tiny_checkpoint, tmp_path / "scratch" / "run", [TARGET, OTHER]))
    assert [name for name in differing(folder, whole) if not name.startswith("earlier/")] == []
    assert raw(earlier) == before
    assert {score.language for score in read_run(folder).scores} == {SOURCE, TARGET, OTHER}
    assert {score.language for score in read_run(earlier).scores} == {SOURCE, TARGET}
    assert load(earlier).identity.languages == (TARGET,)


@pytest.mark.parametrize("moved", [0, 3])
def test_setting_aside_goes_on_where_it_was_stopped(world, tiny_checkpoint, folder, moved):
    """The recipe that tells of fewer languages is the last to go."""
    wanted, names = recipe(world, tiny_checkpoint, folder, [OTHER, TARGET]), set(content(folder))
    earlier = folder / "earlier" / "1-target"
    for entry in sorted(folder.iterdir())[:moved]:
        earlier.mkdir(parents=True, exist_ok=True)
        if entry.name not in ("recipe.yaml", "run.json", ".lock"):
            entry.rename(earlier / entry.name)
    assert set_aside(folder, wanted) == earlier
    assert set(content(earlier)) == names
    assert {path.name for path in folder.iterdir()} == {".lock", "earlier", "recipe.yaml", "run.json"}


def test_what_was_set_aside_before_is_not_moved_upon(world, tiny_checkpoint, folder):
    """Whoever goes back to fewer languages amid a move has another run there; both are kept, whole."""
    earlier = folder / "earlier" / "1-target"
    (earlier / "trials").mkdir(parents=True)
    (earlier / "README.md").write_text("another run")
    names = set(content(folder)) - {name for name in content(folder) if name.startswith("earlier/")}
    place = set_aside(folder, recipe(world, tiny_checkpoint, folder, [OTHER, TARGET]))
    assert place == folder / "earlier" / "1-target-2"
    assert set(content(place)) == names
    assert content(earlier) == {"README.md": b"another run"}


@pytest.mark.parametrize(
    ("targets", "overrides"),
    [([OTHER], []), ([TARGET], []), ([TARGET, OTHER], ["train.batch_size=4"]), ([], [])],
    ids=["another instead", "the same", "other settings", "fewer"],
)
def test_anything_else_is_not_set_aside(world, tiny_checkpoint, folder, targets, overrides):
    """Another recipe is refused as before, and nothing is moved."""
    wanted, before = recipe(world, tiny_checkpoint, folder, targets, *overrides), content(folder)
    assert earlier_place(folder, wanted) is None
    assert set_aside(folder, wanted) is None
    assert content(folder) == before
    if targets != [TARGET]:
        with pytest.raises(RunError, match="holds a run of another recipe"):
            run(wanted)


def test_other_data_says_where_to_go_on(world, tiny_checkpoint, tmp_path):
    """More labels are another run: a new folder, which may start from this one."""
    more = shutil.copytree(world, tmp_path / "more")
    folder = run(recipe(more, tiny_checkpoint, tmp_path / "run", [TARGET]))
    with (more / f"{SOURCE}.train.csv").open("a", encoding="utf-8") as file:
        file.write("new,ada ada ada ada ada,bird\n")
    with pytest.raises(RunError, match=r"changed: labelled examples;.*another output_dir, where train\.continue_from="):
        run(recipe(more, tiny_checkpoint, folder, [TARGET]))
    onwards = recipe(more, tiny_checkpoint, tmp_path / "next", [TARGET], f"train.continue_from={folder}")
    assert (run(onwards) / "README.md").is_file()
