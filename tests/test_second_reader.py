"""The second reader notices what a run's files could say against each other."""

import json

import pytest

from invented import TARGET, world_recipe, write_world
from quick_run import run
from second_reader import contradictions

TRIAL = "k0-draw0-seed1"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_checkpoint):
    """A finished run of two seeds."""
    world = write_world(tmp_path_factory.mktemp("world"), train=12, dev=6, test=6, pairs=8)
    small = ["seeds=[1,2]", "train.num_train_epochs=1", "device=cpu", "prompt.name=input", "prompt.length=2"]
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
    parallel = {"files": str(world / f"pairs.{TARGET}.tsv")}
    return run(world_recipe(world, [*small, f"output_dir={world / 'run'}"], backbone=backbone, parallel=parallel))


def test_a_finished_run_agrees_with_itself(finished):
    """Whoever reads its files finds the same."""
    assert contradictions(finished) == []


def edit(path, old, new):
    """Replace a text once, which must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("scores.jsonl", '"value": ', '"value": 1', {"scores.jsonl"}),
        ("training.jsonl", '"epoch": 1', '"epoch": 2', {"training.jsonl"}),
        ("summary.json", '"count": ', '"count": 1', {"parameters"}),
        ("summary.json", '"dev_score": ', '"dev_score": 1', {f"{TRIAL}: facts"}),
        (f"trials/{TRIAL}/identity.json", '"backbone": "', '"backbone": "0', {f"{TRIAL}: backbone"}),
        (f"trials/{TRIAL}/probe.json", "tolerance", "Tolerance", {f"{TRIAL}: checksums"}),
    ],
)
def test_an_edited_file_is_noticed(finished, name, old, new, expected):
    """By what it contradicts, and by nothing else."""
    before = (finished / name).read_bytes()
    edit(finished / name, old, new)
    found = set(contradictions(finished))
    (finished / name).write_bytes(before)
    assert found == expected


def test_a_lost_prediction_is_noticed(finished):
    """By its checksum, and by each number that counts it."""
    path = finished / "predictions" / TRIAL / f"{TARGET}.jsonl"
    before = path.read_text(encoding="utf-8")
    lines = before.splitlines(keepends=True)
    wrong = next(line for line in lines if json.loads(line)["gold"] != json.loads(line)["value"])
    path.write_text("".join(line for line in lines if line != wrong), encoding="utf-8")
    found = set(contradictions(finished))
    path.write_text(before, encoding="utf-8")
    assert {f"{TRIAL}: checksums", f"{TRIAL}: n", f"{TRIAL}: accuracy"} <= found
