"""A folder grows by seeds, shots and draws, and refuses what was made of something else."""

import shutil

import pytest

from invented import SOURCE, TARGET, world_recipe, write_world
from lingraft.core.errors import RunError
from lingraft.core.files import read_object, write_json
from lingraft.recipe.settings import Recipe
from lingraft.runs.folder import trials_of
from lingraft.runs.identity import trial_identities
from lingraft.tasks.gathering import gather
from quick_run import content, differing, run
from tiny import random_model, save_checkpoint

SMALL = [
    *("train.num_train_epochs=1", "train.batch_size=8", "train.learning_rate=1e-2", "device=cpu", "shots.k=0"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1", "seeds=[1]"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]


def write_tables(folder):
    """Write the invented tables, and unlabelled text."""
    folder.mkdir()
    write_world(folder, train=24, dev=6, test=8, pairs=10)
    (folder / f"text.{TARGET}.txt").write_text("tolu ula vero wina\nsava xilo yara\n" * 4, encoding="utf-8")
    return folder


@pytest.fixture
def world(tmp_path):
    """The tables, for a test alone."""
    return write_tables(tmp_path / "world")


@pytest.fixture(scope="module")
def one_run(tiny_checkpoint, tmp_path_factory):
    """The tables, and the folder of a run on them."""
    place = tmp_path_factory.mktemp("trained")
    world = write_tables(place / "world")
    return world, run(recipe(world, tiny_checkpoint, place / "run"))


@pytest.fixture
def trained(one_run):
    """Both, as they were made, whatever the test before did to them."""
    files = {path: path.read_bytes() for folder in one_run for path in folder.rglob("*") if path.is_file()}
    yield one_run
    for path, made in files.items():
        path.write_bytes(made)


def recipe(world, checkpoint, output, *overrides, **changes) -> Recipe:
    """A recipe that takes a second or two."""
    changes = {"parallel": {"files": str(world / "pairs.{language}.tsv")}} | changes
    return world_recipe(
        world,
        [*SMALL, f"output_dir={output}", *overrides],
        backbone={"checkpoint": str(checkpoint), "max_length": 32},
        **changes,
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["seeds=[1]"], ["seeds=[1,2,3]"]),
        (["shots.k=1"], ["shots.k=[0,1,2]"]),
        (["shots.k=1", "shots.draws=1"], ["shots.k=1", "shots.draws=2"]),
    ],
    ids=["seeds", "shots", "draws"],
)
@pytest.mark.parametrize("parallel", [None, {"from": "task"}], ids=["files", "task"])
def test_a_grown_folder_is_that_of_a_run_from_scratch(world, tiny_checkpoint, tmp_path, before, after, parallel):
    """In every file that the pages are made of, bit for bit; and what was trained is not trained again."""
    changes = {} if parallel is None else {"parallel": parallel}
    grown = run(recipe(world, tiny_checkpoint, tmp_path / "one-run", *before, **changes))
    first = trials_of(recipe(world, tiny_checkpoint, tmp_path / "one-run", *before, **changes))
    made = {trial: (grown / "trials" / trial.name / "adaptation.safetensors").stat().st_mtime_ns for trial in first}
    wanted = recipe(world, tiny_checkpoint, tmp_path / "one-run", *after, **changes)
    assert run(wanted) == grown
    for trial, when in made.items():
        assert (grown / "trials" / trial.name / "adaptation.safetensors").stat().st_mtime_ns == when
    whole = run(recipe(world, tiny_checkpoint, tmp_path / "two-run", *after, **changes))
    assert len(list((grown / "trials").iterdir())) == len(trials_of(wanted)) > len(first)
    assert differing(grown, whole) == []


def change_line(path, number, find, replace):
    """Replace something in one line of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert find in lines[number]
    lines[number] = lines[number].replace(find, replace)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def relabel(world, language, split):
    """Give the first example of a table another topic."""
    path = world / f"{language}.{split}.csv"
    topic = path.read_text(encoding="utf-8").splitlines()[1].rpartition(",")[2]
    change_line(path, 1, topic, "stone" if topic != "stone" else "river")


CHANGES = {
    "labelled examples": lambda world: relabel(world, SOURCE, "train"),
    "development set": lambda world: relabel(world, SOURCE, "dev"),
    f"test set of {TARGET}": lambda world: relabel(world, TARGET, "test"),
    f"pairs of {TARGET}": lambda world: change_line(world / f"pairs.{TARGET}.tsv", 1, "\t", " ada\t"),
}


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "growing"])
@pytest.mark.parametrize("what", CHANGES)
def test_other_data_are_refused_with_what_has_changed(trained, tiny_checkpoint, what, finished):
    """Whether the folder is asked for once more or for another seed, nothing is averaged in and nothing written."""
    world, folder = trained
    CHANGES[what](world)
    seeds = "seeds=[1]" if finished else "seeds=[1,2]"
    before = content(folder)
    with pytest.raises(RunError, match=rf"since k0-draw0-seed1 was trained, these have changed: {what};"):
        run(recipe(world, tiny_checkpoint, folder, seeds))
    assert {name for name in before if before[name] != content(folder).get(name)} <= {"recipe.yaml", "README.md"}


@pytest.mark.parametrize(
    ("edited", "told"),
    [(f"text.{TARGET}.txt", f"unlabelled text of {TARGET}"), (f"mined/{TARGET}.tsv", f"mined lexicon of {TARGET}")],
)
def test_edited_text_and_lexicons_are_refused(world, tiny_checkpoint, tmp_path, edited, told):
    """Text that is not labelled decides what is mined, and what is mined what is learnt."""
    parallel = {"parallel": {"text": str(world / "text.{language}.txt")}}
    folder = run(recipe(world, tiny_checkpoint, tmp_path / "run", **parallel))
    place = folder if edited.startswith("mined") else world
    with (place / edited).open("a", encoding="utf-8") as file:
        file.write("hano\tbako\t0.5\n")
    with pytest.raises(RunError, match=rf"these have changed: .*{told}"):
        run(recipe(world, tiny_checkpoint, tmp_path / "run", "seeds=[1,2]", **parallel))


def test_another_backbone_is_refused(world, tmp_path):
    """The same folder with other weights in it."""
    checkpoint = save_checkpoint(tmp_path / "checkpoint", random_model("bert", seed=0))
    run(recipe(world, checkpoint, tmp_path / "run"))
    save_checkpoint(checkpoint, random_model("bert", seed=1))
    with pytest.raises(RunError, match="these have changed: backbone;"):
        run(recipe(world, checkpoint, tmp_path / "run", "seeds=[1,2]"))


def test_a_trial_of_another_meaning_is_refused(trained, tiny_checkpoint):
    """As a version that trains something else under the same settings would have left it."""
    world, folder = trained
    path = folder / "trials" / "k0-draw0-seed1" / "identity.json"
    write_json(path, read_object(path) | {"meaning of a training": "0"})
    with pytest.raises(RunError, match="these have changed: meaning of a training;"):
        run(recipe(world, tiny_checkpoint, folder, "seeds=[1,2]"))


def test_the_way_words_are_aligned_is_part_of_what_compares_words(world, tiny_checkpoint, tmp_path):
    """Trials of other losses know nothing of it, and go on when it changes."""
    materials = gather(recipe(world, tiny_checkpoint, tmp_path / "run"))
    for loss, told in (("words", True), ("mse", False)):
        wanted = recipe(world, tiny_checkpoint, tmp_path / "run", f"alignment=[{{name: {loss}}}]")
        (found,) = trial_identities(trials_of(wanted), wanted, materials).values()
        assert ("way to align words" in found) is told


@pytest.mark.parametrize(
    ("how", "seeds"), [("lost", "seeds=[1]"), ("damaged", "seeds=[1,2]")], ids=["lost-finished", "damaged-growing"]
)
@pytest.mark.parametrize(
    "spoilt", ["trial.json", "probe.json", "scores.jsonl", "adaptation.safetensors", "predictions"]
)
def test_a_finished_trial_with_a_spoilt_file_is_made_anew(trained, tiny_checkpoint, tmp_path, spoilt, how, seeds):
    """Its scores are neither left out nor half read, and all ends as it was."""
    world, folder = trained
    copy = shutil.copytree(folder, tmp_path / "run")
    path = copy / "trials" / "k0-draw0-seed1" / spoilt
    if spoilt == "predictions":
        path = copy / "predictions" / "k0-draw0-seed1" / f"{TARGET}.jsonl"
    made = path.read_bytes()
    if how == "lost":
        path.unlink()
    else:
        path.write_bytes(b"\xff" + made[: len(made) // 2])
    run(recipe(world, tiny_checkpoint, copy, seeds))
    assert path.read_bytes() == made


def test_only_the_trials_that_are_asked_for_are_verified(world, tiny_checkpoint, tmp_path):
    """A seed that a recipe names no more stays, and the rest is that of a run which never had it."""
    run(recipe(world, tiny_checkpoint, tmp_path / "one-run", "seeds=[1,2]"))
    fewer = run(recipe(world, tiny_checkpoint, tmp_path / "one-run", "seeds=[2]"))
    alone = run(recipe(world, tiny_checkpoint, tmp_path / "two-run", "seeds=[2]"))
    assert {name.split("/")[1] for name in differing(fewer, alone) if "/" in name} == {"k0-draw0-seed1"}
    assert [name for name in differing(fewer, alone) if "/" not in name] == []


def test_a_trial_that_does_not_say_what_it_is_made_of_is_refused(trained, tiny_checkpoint):
    """Its identity may have been anything."""
    world, folder = trained
    (folder / "trials" / "k0-draw0-seed1" / "identity.json").unlink()
    with pytest.raises(RunError, match="does not say what it was made of"):
        run(recipe(world, tiny_checkpoint, folder, "seeds=[1,2]"))
