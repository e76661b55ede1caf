"""Runs on the Hugging Face Hub: a local server stands in for it, and processes that know no other use it."""

import json
import os
import subprocess
import sys

import pytest

import lingraft
from fake_hub import FakeHub, serve
from invented import TARGET, world_recipe, write_world
from lingraft.core.errors import CheckpointError
from lingraft.serving.hub import NEEDED, push_run
from lingraft.serving.loading import load
from quick_run import run

LOAD = """
import json, sys, lingraft
found = lingraft.load(sys.argv[1], **({"backbone": sys.argv[2]} if len(sys.argv) > 2 else {}))
print(json.dumps([one.value for one in found.predict(["ada beli", "cora dune eli"])]))
"""


@pytest.fixture(scope="module")
def trained(tiny_checkpoint, tmp_path_factory):
    """A finished run with its pages."""
    folder = tmp_path_factory.mktemp("trained")
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
    settings = ["train.num_train_epochs=1", "device=cpu", "seeds=[1]", f"output_dir={folder / 'run'}"]
    return run(world_recipe(write_world(folder), settings, backbone=backbone))


def elsewhere(hub, folder, *command):
    """Run Python where the Hub is at that address; returns what it prints, and what it complains of."""
    places = {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "hf"), "HF_TOKEN": "hf_x"}
    done = subprocess.run(
        [sys.executable, *command], env=os.environ | places, capture_output=True, text=True, check=False, cwd=folder
    )
    return done.returncode, done.stdout, done.stderr


def test_a_run_that_is_pushed_is_loaded_by_its_name_and_answers_the_same(trained, tiny_checkpoint, tmp_path):
    """What was learnt, recipe, scores and model card are there, byte for byte, and no text of the data."""
    with serve(FakeHub()) as hub:
        code, said, _ = elsewhere(hub, tmp_path, "-m", "lingraft", "push", str(trained), "us/hausa-topics")
        assert code == 0
        assert f"to {hub.address}/us/hausa-topics" in said
        assert "lingraft.load('us/hausa-topics', backbone=FOLDER)" in said
        files = hub.files["us/hausa-topics"]
        assert files == {name: (trained / name).read_bytes() for name in NEEDED if (trained / name).exists()}
        assert {"README.md", "adaptation.safetensors", "scores.jsonl"} <= files.keys()
        assert hub.private == {"us/hausa-topics": True}
        code, answers, complaints = elsewhere(hub, tmp_path, "-c", LOAD, "us/hausa-topics", str(tiny_checkpoint))
    assert code == 0, complaints
    assert json.loads(answers) == [one.value for one in lingraft.load(trained).predict(["ada beli", "cora dune eli"])]


def test_the_report_goes_along_where_it_is_asked_for(trained, tmp_path):
    """And the repository is public where that is."""
    (trained / "report.html").write_text("<p>ada</p>", encoding="utf-8")
    command = ("-m", "lingraft", "push", str(trained), "us/topics", "--report", "--public")
    with serve(FakeHub()) as hub:
        assert elsewhere(hub, tmp_path, *command)[0] == 0
    assert hub.files["us/topics"]["report.html"] == b"<p>ada</p>"
    assert not hub.private["us/topics"]


def test_a_hub_that_refuses_is_one_line(trained, tmp_path):
    """Which says what to do; nothing is uploaded."""
    with serve(FakeHub(refuses=403)) as hub:
        code, said, complaints = elsewhere(hub, tmp_path, "-m", "lingraft", "push", str(trained), "others/topics")
    assert code == 1
    assert "cannot upload to others/topics" in complaints + said
    assert "log in with `hf auth login`" in complaints + said
    assert "Traceback" not in complaints
    assert hub.files == {}


def test_what_is_neither_a_folder_nor_on_the_hub_is_one_line(tmp_path):
    """Be it that the Hub does not know it, or that it may not be asked."""
    with serve(FakeHub()) as hub:
        _, _, complaints = elsewhere(hub, tmp_path, "-c", LOAD, "us/nothing")
    assert "there is no finished run in us/nothing, and as a run on the Hub: it is neither" in complaints
    with pytest.raises(
        CheckpointError,
        match=r"no finished run in us/nothing, and as a run .*unset HF_HUB.* or give the folder of a run$",
    ):
        load("us/nothing")


def test_a_hub_that_cannot_be_reached_is_one_line(trained, tmp_path):
    """Nobody listens there."""
    with serve(FakeHub()) as hub:
        pass
    code, said, complaints = elsewhere(hub, tmp_path, "-m", "lingraft", "push", str(trained), "us/topics")
    assert code == 1
    assert "check the name and the network, and try again" in said + complaints
    assert "Traceback" not in complaints


@pytest.mark.parametrize("name", ["topics", "a/b/c", "us/", "../topics", "us/top ics"])
def test_a_name_is_that_of_an_owner_and_a_repository(trained, name):
    """Nothing is asked of the Hub before."""
    with pytest.raises(CheckpointError, match="expected the name of a repository, as 'my-group/hausa-topics', got"):
        push_run(trained, name)


def test_without_a_network_nothing_is_pushed(trained):
    """One line says that it is forbidden."""
    with pytest.raises(CheckpointError, match="cannot upload to us/topics: HF_HUB_OFFLINE forbids it; unset it"):
        push_run(trained, "us/topics")


def test_half_a_run_is_not_pushed(tmp_path, trained):
    """What was learnt and the model card are needed."""
    (tmp_path / "adaptation.safetensors").write_bytes((trained / "adaptation.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"has no README\.md; give the folder of a finished run"):
        push_run(tmp_path, "us/topics")
    assert TARGET in lingraft.load(trained).targets
