"""`lingraft run` as torchrun starts it: two processes on this machine."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import lingraft
from invented import world_recipe, write_world
from lingraft.core.errors import RunError
from lingraft.core.files import read_lines
from lingraft.core.launcher import launched, refuse_division, refuse_launch
from posix_only import signal_called
from quick_run import run

TRIAL = "trials/k0-draw0-seed1"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"))


def recipe(world, checkpoint, output, *overrides):
    """A run of one trial, with alignment and without dropout, which no two ranks would draw alike."""
    return world_recipe(
        world,
        ["train.num_train_epochs=3", "device=cpu", "seeds=[1]", f"output_dir={output}", *overrides],
        backbone={"checkpoint": str(checkpoint), "max_length": 32, "cut": 1, "precision": "float32"},
        prompt={"name": "deep", "length": 2, "language_length": 1},
        adapter={"name": "bottleneck", "width": 4, "language_width": 4, "dropout": 0.0},
        parallel={"files": str(world / "pairs.{language}.tsv")},
        alignment=[{"name": "contrastive", "weight": 0.1}],
    )


def launch(path, cache):
    """Start `lingraft run` in two processes."""
    environment = os.environ | {
        "PYTHONPATH": str(Path(lingraft.__file__).parents[1]),
        "OMP_NUM_THREADS": "1",
        "LINGRAFT_CACHE": str(cache),
    }
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*start, "-m", "lingraft", "run", str(path)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def write_recipe(folder, wanted):
    """Write a recipe to a file."""
    path = folder / "recipe.yaml"
    path.write_text(wanted.to_yaml(), encoding="utf-8")
    return path


def scores(folder):
    """What a run says of its test sets."""
    names = ("method", "language", "metric", "value", "n")
    return [tuple(row[name] for name in names) for row in read_lines(folder / "scores.jsonl")]


def parts(folder):
    """What was learnt by gradient; a weight that is fitted to few texts is any number, where all do."""
    tensors = load_file(folder / TRIAL / "adaptation.safetensors")
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("ensembles.")}


def close(found, expected):
    """Equal but for the order in which rows are added up, step after step."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-2, atol=1e-4, msg=name)


def test_two_processes_leave_what_one_leaves(world, tiny_checkpoint, tmp_path):
    """From frozen states, which both encode, to scores; and what is said is said once."""
    started = launch(write_recipe(tmp_path, recipe(world, tiny_checkpoint, tmp_path / "two")), tmp_path / "cache")
    said, _ = started.communicate()
    assert started.returncode == 0, said
    assert said.count("report: ") == said.count("2 processes of this launch share the work") == 1
    alone = run(recipe(world, tiny_checkpoint, tmp_path / "one"))
    close(parts(tmp_path / "two"), parts(alone))
    assert scores(tmp_path / "two") == scores(alone)


def test_a_run_that_is_refused_ends_all_ranks(world, tiny_checkpoint, tmp_path):
    """What is wrong is said once, by the one that reads data."""
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("not a run's", encoding="utf-8")
    started = launch(write_recipe(tmp_path, wanted), tmp_path / "cache")
    said, _ = started.communicate(timeout=300)
    assert started.returncode != 0
    assert said.count("is not empty and not a run folder") == 1, said


def of_rank(rank, launcher):
    """Return the process of a rank, which a launcher started."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parent = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:  # it has ended
                continue
            if parent == launcher and f"RANK={rank}".encode() in variables:
                return int(folder.name)
    return None


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found by /proc")
@pytest.mark.parametrize(("rank", "name"), [(1, "SIGKILL"), (0, "SIGTERM")])
def test_a_rank_that_is_killed_ends_the_run_which_can_be_continued(world, tiny_checkpoint, tmp_path, rank, name):
    """With one line, and the state that was saved."""
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", "train.num_train_epochs=100")
    started = launch(write_recipe(tmp_path, wanted), tmp_path / "cache")
    state = tmp_path / "run" / TRIAL / "training.safetensors"
    while not state.exists():
        assert started.poll() is None, started.communicate()[0]
        time.sleep(0.05)
    os.kill(of_rank(rank, started.pid), signal_called(name))
    said, _ = started.communicate(timeout=300)
    assert started.returncode != 0
    ours = [line for line in said.splitlines() if "is kept, and the same command again continues it" in line]
    assert len(ours) == 1, said
    assert "lingraft/cli" not in said  # no traceback of ours
    assert state.exists()
    folder = run(wanted.model_copy(update={"output_dir": tmp_path / "run"}))
    whole = run(recipe(world, tiny_checkpoint, tmp_path / "whole", "train.num_train_epochs=100"))
    assert [row[:3] for row in scores(folder)] == [row[:3] for row in scores(whole)]


def test_a_scheduler_is_no_launcher():
    """WORLD_SIZE alone says nothing, one process is one, and no number is refused."""
    assert [launched(found) for found in ({}, {"WORLD_SIZE": "4"}, {"RANK": "0", "WORLD_SIZE": "1"})] == [1, 1, 1]
    assert launched({"RANK": "1", "WORLD_SIZE": "3"}) == 3
    with pytest.raises(RunError, match="WORLD_SIZE=many: expected a number of processes"):
        launched({"RANK": "0", "WORLD_SIZE": "many"})


def test_other_commands_are_refused_in_several_processes(monkeypatch, command):
    """Each would do all of it."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = command("list", "tasks")
    assert done.code == 1
    assert done.err.startswith("error lingraft list runs in one process: start it without torchrun")
    refuse_launch("predict", {})


def test_a_launch_that_divides_the_model_is_refused_once(world, tiny_checkpoint, tmp_path, monkeypatch, command):
    """By the first process, before it waits for another; the others end without a word. One process has no others."""
    path = write_recipe(tmp_path, recipe(world, tiny_checkpoint, tmp_path / "run"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("RANK", "1")
    other = command("run", path)
    monkeypatch.setenv("RANK", "0")
    first = command("run", path)
    assert (other.code, other.out, other.err) == (0, "", "")
    assert (first.code, first.out) == (1, "")
    assert first.err.startswith("error accelerate launch asks for FSDP, which divides a model among processes")
    assert "torchrun or accelerate launch --multi_gpu, which give what one process gives" in first.err
    assert not (tmp_path / "run").exists()
    refuse_division({"ACCELERATE_USE_FSDP": "true", "RANK": "0", "WORLD_SIZE": "1"})
    refuse_division({"ACCELERATE_USE_FSDP": "false", "RANK": "0", "WORLD_SIZE": "2"})


def test_fsdp_is_what_accelerate_says_it_is():
    """Its own launcher makes the environment that is refused; without FSDP it makes one that is not."""
    launch = pytest.importorskip("accelerate.commands.launch", reason="accelerate is not installed")
    from accelerate.utils.launch import prepare_multi_gpu_env

    parser, of_rank = launch.launch_command_parser(), {"RANK": "0", "WORLD_SIZE": "2"}
    common = ["--num_processes=2", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
    found = [
        prepare_multi_gpu_env(parser.parse_args([*common, *more, "script.py"]))
        for more in (["--multi_gpu"], ["--use_fsdp", "--fsdp_version=2"])
    ]
    refuse_division(found[0] | of_rank)
    with pytest.raises(RunError, match="asks for FSDP"):
        refuse_division(found[1] | of_rank)
