"""A finished run of which a file is lost or damaged: nobody reads on from it, and the same recipe mends it."""

import json
import shutil

import pytest
from pydantic import ValidationError

from invented import world_recipe, write_world
from lingraft.core.errors import CheckpointError, ConfigError, RunError
from lingraft.recipe.settings import TrainSettings
from lingraft.results.finished_run import NAME, is_as_left
from lingraft.results.pages import write_page
from lingraft.results.run_files import read_run
from lingraft.runs.folder import changed_settings
from lingraft.runs.plan import plan
from lingraft.serving.loading import load
from quick_run import run

LEFT = [
    *("adaptation.safetensors", "data.json", "summary.json", "scores.jsonl", "training.jsonl"),
    *("states.json", "letters.json", "retention.json"),
]


@pytest.fixture(scope="module")
def wanted(tiny_checkpoint, tmp_path_factory):
    """A recipe of one short training, which was run."""
    place = tmp_path_factory.mktemp("finished")
    small = ["train.num_train_epochs=1", "train.batch_size=8", "seeds=[1]", "device=cpu", f"output_dir={place / 'run'}"]
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
    world = write_world(place)
    recipe = world_recipe(world, small, backbone=backbone, parallel={"files": str(world / "pairs.{language}.tsv")})
    run(recipe)
    return recipe


@pytest.fixture
def folder(wanted):
    """The finished run, which is whole again afterwards, whatever a test did to it."""
    folder, kept = wanted.output_dir, wanted.output_dir.with_name("kept")
    shutil.copytree(folder, kept)
    yield folder
    shutil.rmtree(folder)
    kept.rename(folder)


def flip(path):
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lose(path):
    """Delete a file."""
    path.unlink()


def test_every_file_of_the_end_has_its_digest(folder):
    """Those that a second run would not make again if nobody compared them."""
    assert sorted(json.loads((folder / NAME).read_text(encoding="utf-8"))["files"]) == sorted(LEFT)


@pytest.mark.attack
@pytest.mark.parametrize("name", [*LEFT, NAME])
@pytest.mark.parametrize("damage", [lose, flip])
def test_the_recipe_makes_again_what_is_lost_or_damaged(wanted, folder, name, damage):
    """With the same content, from the trials; which are not trained again."""
    trained = folder / "trials" / "k0-draw0-seed1" / "adaptation.safetensors"
    before = {left: (folder / left).read_bytes() for left in ("adaptation.safetensors", "scores.jsonl")}
    when = trained.stat().st_mtime_ns
    damage(folder / name)
    run(wanted)
    assert is_as_left(folder)
    assert {left: (folder / left).read_bytes() for left in before} == before
    assert trained.stat().st_mtime_ns == when


@pytest.mark.parametrize("damage", [lose, flip])
def test_nobody_reads_on_from_a_damaged_run(folder, damage):
    """Its pages stay as they are, and the message has the command that mends the run."""
    page = (folder / "README.md").read_bytes()
    damage(folder / "scores.jsonl")
    for read in (read_run, lambda place: write_page(place, "README.md")):
        with pytest.raises(RunError) as caught:
            read(folder)
        assert str(caught.value).startswith(f"{folder / 'scores.jsonl'} is ")
        assert str(caught.value).endswith(f"; run the recipe again: lingraft run {folder / 'recipe.yaml'}")
    assert (folder / "README.md").read_bytes() == page


def test_other_weights_do_not_answer(folder):
    """One bit of the trained numbers is enough."""
    path = folder / "adaptation.safetensors"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    again = f"run the recipe again: lingraft run {folder / 'recipe.yaml'}"
    assert str(caught.value) == f"{path} is not what the run left there; {again}"


def test_lost_weights_are_said_to_be_lost(folder):
    """A run that left them is not told to be no finished run."""
    (folder / "adaptation.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"adaptation\.safetensors is missing, which the run left there; run the"):
        load(folder)


def test_a_run_from_before_there_were_digests_is_read(folder):
    """There is nothing to compare."""
    (folder / NAME).unlink()
    assert read_run(folder).selected_trial == "k0-draw0-seed1"


# ---- Where another run goes on from it -------------------------------------------------------------


def onwards(wanted, width):
    """A recipe that goes on from the finished run, with an adapter of a width."""
    values = wanted.model_dump(mode="json", by_alias=True)
    values["adapter"]["width"], values["train"]["continue_from"] = width, str(wanted.output_dir)
    return type(wanted).model_validate(values | {"output_dir": str(wanted.output_dir.with_name(f"next-{width}"))})


def test_the_check_refuses_what_the_run_refuses(wanted):
    """A run of other parts is nothing to go on from; one of the same is."""
    with pytest.raises(ConfigError) as caught:
        plan(onwards(wanted, 3))
    assert [problem.partition(" with ")[0] for problem in caught.value.problems] == [
        f"train.continue_from: {wanted.output_dir} was trained"
    ]
    assert plan(onwards(wanted, wanted.adapter.options["width"])).trials == 1


def test_a_refused_start_is_no_run(wanted):
    """Nothing was trained, so the corrected recipe may have the folder."""
    with pytest.raises(CheckpointError, match="was trained with adapter"):
        run(onwards(wanted, 3))
    corrected = onwards(wanted, wanted.adapter.options["width"]).model_copy(
        update={"output_dir": wanted.output_dir.with_name("next-3")}
    )
    assert changed_settings(corrected.output_dir, corrected) == []


@pytest.mark.parametrize("given", ["", "  ", 5])
def test_what_names_no_folder_is_refused(given):
    """Nothing at all would be the working folder."""
    with pytest.raises(ValidationError, match="expected the name of a folder"):
        TrainSettings.model_validate({"continue_from": given})
