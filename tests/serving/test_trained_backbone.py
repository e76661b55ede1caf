"""The backbone of a run is found again, wherever the command is given."""

import shutil
from dataclasses import replace

import pytest

from invented import world_recipe, write_world
from lingraft.core.errors import CheckpointError
from lingraft.model.checkpoint import read_identity
from lingraft.recipe.parsing import read_recipe
from lingraft.serving.loading import load
from lingraft.serving.trained_backbone import find_checkpoint, load_trained_backbone
from quick_run import run

SMALL = ["train.num_train_epochs=1", "train.batch_size=8", "seeds=[1]", "shots.k=1", "device=cpu"]


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_checkpoint):
    """A folder with a checkpoint, and a run that was trained from within, by a relative path."""
    place = tmp_path_factory.mktemp("project")
    shutil.copytree(tiny_checkpoint, place / "model")
    world = write_world(tmp_path_factory.mktemp("world"), train=12, dev=6, test=6, pairs=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        backbone = {"checkpoint": "model", "max_length": 32}
        run(world_recipe(world, [*SMALL, "output_dir=runs/one", "parallel.from=task"], backbone=backbone))
    return place


def test_a_run_is_used_from_any_folder(project, tmp_path, monkeypatch):
    """It notes where its checkpoint was, not how it was called from there."""
    monkeypatch.chdir(tmp_path)
    assert load(project / "runs" / "one").backbone.name == str((project / "model").resolve())


def test_a_project_may_be_moved(project, tmp_path, monkeypatch):
    """A folder of the checkpoint's name beside the run, or a little above it, is as good: digests are compared."""
    moved = tmp_path / "moved"
    shutil.copytree(project, moved)
    identity = replace(read_identity(moved / "runs" / "one" / "adaptation.safetensors"), checkpoint="/gone/model")
    assert find_checkpoint(identity.checkpoint, moved / "runs" / "one") == str(moved / "model")


def test_a_run_comes_from_another_system(project):
    """Where the folder of its checkpoint has a name of Windows."""
    found = find_checkpoint("C:\\Users\\ada\\model", project / "runs" / "one")
    assert found == str(project.resolve() / "model")


def test_a_checkpoint_is_given_where_it_is_now(project, tmp_path, command, monkeypatch):
    """By `--backbone`; without it the message says where it was."""
    for name in ("runs", "elsewhere"):
        shutil.copytree(project / {"runs": "runs", "elsewhere": "model"}[name], tmp_path / name)
    (project / "model").rename(project / "away")
    try:
        (tmp_path / "texts.txt").write_text("ada beli\n", encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        refused = command("predict", "runs/one", "texts.txt")
        answered = command("predict", "runs/one", "texts.txt", "--backbone", "elsewhere")
    finally:
        (project / "away").rename(project / "model")
    assert refused.code == 1
    assert f"{project / 'model'} (digest" in refused.err.replace("\n", "")
    assert "which is neither there nor beside the run; say where it is now with --backbone" in refused.err
    assert "--backbone" in refused.err
    assert answered.code == 0
    assert '"label"' in answered.out


def test_a_damaged_checkpoint_that_was_found_is_reported_as_that(project, tmp_path):
    """It is not said to be missing."""
    shutil.copytree(project / "model", tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text("[]", encoding="utf-8")
    path = project / "runs" / "one" / "adaptation.safetensors"
    with pytest.raises(CheckpointError, match=r"^config.json of .*expected a JSON object, found list"):
        load_trained_backbone(read_identity(path), path, given=tmp_path / "model")


def test_a_recipe_names_a_folder_beside_it(tmp_path, tiny_checkpoint, monkeypatch):
    """Where the working directory has none of that name; where it has one, that is meant, as ever."""
    shutil.copytree(tiny_checkpoint, tmp_path / "project" / "model")
    path = tmp_path / "project" / "recipe.yaml"
    path.write_text(
        "task: {name: sib200, target_languages: [swh-Latn]}\nbackbone: {checkpoint: model}\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    beside = read_recipe(path).backbone.checkpoint
    (tmp_path / "model").mkdir()
    assert (beside, read_recipe(path).backbone.checkpoint) == (str(tmp_path / "project" / "model"), "model")
