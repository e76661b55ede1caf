"""Memory and disk of a run, estimated before they are taken."""

import json
import re
from pathlib import Path

import pytest
import torch

from invented import world_recipe, write_world
from lingraft.core.errors import ConfigError
from lingraft.core.records import Features
from lingraft.runs import needs as needs_module
from lingraft.runs.needs import Needs, disk_warnings, estimate_needs, machine_memory, memory_problems, refuse_too_large
from lingraft.runs.plan import plan
from quick_run import run

CPU = torch.device("cpu")
FOOTPRINT = Path(__file__).parents[2] / "docs" / "results" / "footprint.json"


@pytest.fixture
def recipe(tmp_path, tiny_checkpoint):
    """A recipe of the invented world; changes as on the command line."""
    write_world(tmp_path)
    backbone = {"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 32}

    def make(*overrides):
        return world_recipe(tmp_path, [f"output_dir={tmp_path / 'run'}", *overrides], backbone=backbone)

    return make


def test_what_learns_and_what_is_kept_for_gradients_is_counted(recipe, tiny_backbone):
    """By hand: two batches, two layers above the cut, ten parameters, three trials."""
    rows = [Features(str(i), (1,) * length) for i, length in enumerate((3, 7, 5))]
    features = {("a", "learn"): rows, ("b", "learn"): rows[:1], ("c", "learn"): rows[:1], ("b", "test"): rows}
    stack = tiny_backbone.stack
    found = estimate_needs(recipe("train.batch_size=2"), features, stack, cut=1, trained=10, trials=3)
    weights = 4 * sum(p.numel() for p in stack.layers.parameters())
    assert found.device == weights + 20 * 10 + 120 * 24 * 2 * (2 * 7 + 1 * 3)
    recipe_of_less = recipe("train.batch_size=2", "train.gradient_checkpointing=true")
    less = estimate_needs(recipe_of_less, features, stack, cut=1, trained=10, trials=3)
    assert found.device - less.device == (120 * 2 - (120 + 4 * 2)) * 24 * (2 * 7 + 1 * 3)
    assert found.folder == 3 * (4 * 10 + 400 * 3) + 20 * 10
    assert found.host == 0.7e9 + 2 * found.states


def test_check_shows_memory_and_disk(recipe):
    """Beside the time, in the units of people."""
    (line,) = (line for line in plan(recipe()).lines if line.startswith("estimated memory"))
    assert re.fullmatch(
        r"estimated memory: about \d+ MB; disk: about 1 MB of states in the cache, about 1 MB in the run folder", line
    )


@pytest.fixture
def small_machine(monkeypatch):
    """A machine with 0.3 GB of memory."""
    monkeypatch.setattr(needs_module, "machine_memory", lambda: 0.3e9)


def test_what_the_machine_cannot_hold_is_refused_by_check_and_by_run(recipe, small_machine):
    """Before anything is trained, with what to lower."""
    for start in (plan, run):
        with pytest.raises(
            ConfigError, match=r"the run needs about 0\.7 GB of memory, and this machine has 0\.3: lower"
        ):
            start(recipe())


def test_what_may_not_fit_is_warned_of():
    """Near the limit the estimate is not sure enough to refuse."""
    there = machine_memory()
    assert memory_problems(Needs(0.5 * there, 0.3 * there, 0, 0), CPU) == ([], [])
    problems, (warning,) = memory_problems(Needs(there, 0.2 * there, 0, 0), CPU)
    assert problems == []
    assert "of memory, and this machine has" in warning
    with pytest.raises(ConfigError, match="the run needs about"):
        refuse_too_large(Needs(there, there, 0, 0), CPU)


def test_a_disk_without_room_is_warned_of(tmp_path):
    """The folder need not be there yet."""
    assert disk_warnings(Needs(0, 0, 0, 10), tmp_path / "not" / "yet") == []
    (warning,) = disk_warnings(Needs(0, 0, 0, 10**18), tmp_path / "not" / "yet")
    assert warning.startswith(f"the run may take 1,000,000,000.0 GB of disk, and {tmp_path} has ")


def test_wide_parts_are_counted_on_the_meta_device(recipe):
    """Of what may be too large nothing is made to be counted."""
    found = plan(recipe("adapter.width=16384", "prompt=", "adapter.language_width=0"))
    assert found.work.trials[0].trained > 2 * 2 * 24 * 16384
    assert all(parameter.is_meta for parameter in found.work.stack.parameters())


def test_the_estimate_is_near_what_was_measured():
    """The runs of docs/results on SIB-200: one language and six, by its counts of tokens."""
    # Mean and longest of its sentences in tokens; the run is not made again here.
    measured = {row["languages"]: row["peak_bytes"] for row in json.loads(FOOTPRINT.read_text())["runs"]}
    layer, width, tokens, longest = 1_774_464, 384, 1_004 * 42, 100
    for languages, peak in measured.items():
        states = (1 + languages) * tokens * width * 4
        step = needs_module.KEPT * width * 6 * 2 * 32 * longest
        estimate = needs_module.PROCESS + 2 * states + 4 * 12 * layer + needs_module.LEARNT * 825_121 + step
        assert estimate == pytest.approx(peak, rel=0.3)
