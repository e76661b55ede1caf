"""A run that is killed, or refused by the disk, anywhere: it goes on, and ends in the same bits in every file."""

import errno
import os
import shutil
import signal
from contextlib import suppress

import pytest

from attack.record import record
from attack.sample import sampled
from full_disk import full_disk
from invented import TARGET, world_recipe, write_world
from lingraft.core.errors import LingraftError
from lingraft.core.files import TEMPORARY, watch_writes
from quick_run import QUIET, Stopping, differing, quick_compare, run
from second_reader import contradictions

pytestmark = pytest.mark.attack

PARTS = [
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
    *("train.num_train_epochs=2", "train.batch_size=8", "train.learning_rate=1e-2", "device=cpu"),
    *("seeds=[1,2]", "shots.k=1"),
]
SAVED = -1.0
"""Seconds between two saved states that are over at once: each step is saved."""


class Killed(BaseException):
    """What nobody catches, as nobody catches a kill."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A small invented task in two languages."""
    return write_world(tmp_path_factory.mktemp("world"), train=12, dev=6, test=6, pairs=8)


@pytest.fixture
def start(world, tiny_checkpoint, tmp_path, monkeypatch):
    """A function that runs the recipe in a folder of that name, with a cache of its own."""

    def begin(name, *overrides, reporter=QUIET, save_every=SAVED):
        monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / f"{name}-cache"))
        wanted = world_recipe(
            world,
            [*PARTS, f"output_dir={tmp_path / name}", *overrides],
            backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32},
            parallel={"files": str(world / f"pairs.{TARGET}.tsv")},
        )
        return run(wanted, reporter=reporter, save_every=save_every)

    return begin


NOTED = ("digests", "precision")
"""Parts of the cache that are written or not as the clock has it: no two runs need write the same there."""


class Points:
    """Sees every stage of every write of a run, and does something at one of them."""

    def __init__(self, at=0, act=lambda stage, path, temporary: None):
        self.at, self.act, self.seen = at, act, []

    def __call__(self, stage, path, temporary):
        """Count a stage; at the right one, act."""
        if path.parent.name in NOTED:
            return
        self.seen.append((stage, path))
        if len(self.seen) == self.at:
            self.act(stage, path, temporary)


@pytest.fixture
def whole(start):
    """The folder of a run that nobody stopped, and the stages of its writes."""
    points = Points()
    with watch_writes(points):
        folder = start("whole-run")
    assert contradictions(folder) == []
    return folder, points.seen


def faults(start, name, whole, *overrides):
    """Continue what was stopped; what of it is not as in ``whole``, contradicts itself, or is left lying about."""
    folder = start(name, *overrides)
    left = [path.name for path in folder.rglob(f"{TEMPORARY}*")]
    found = [*differing(folder, whole), *contradictions(folder), *left]
    for place in (folder, folder.with_name(f"{name}-cache")):
        shutil.rmtree(place)
    return found


def settle(attack, found):
    """Note what was tried and held, and fail with what did not: faults by what was tried."""
    failed = {tried: faults for tried, faults in found.items() if faults}
    record(attack, tried=len(found), held=len(found) - len(failed))
    assert failed == {}


def leave_half(stage, path, temporary):
    """What a kill amid a write leaves: half of the temporary file, under a name of its own."""
    if temporary is not None and temporary.exists():
        content = temporary.read_bytes()
        temporary.with_name(f"{TEMPORARY}{path.stem}-k1lled_0{path.suffix}").write_bytes(content[: len(content) // 2])
    raise Killed


def test_a_run_killed_at_any_write_ends_the_same(start, whole):
    """Before its temporary file is made, once that is filled, before and after it is put in its place."""
    folder, stages = whole
    tried = sampled(range(1, len(stages) + 1), 12)
    found = {}
    for at in tried:
        with watch_writes(Points(at, leave_half)), pytest.raises(Killed):
            start("kill-write")
        found[at] = faults(start, "kill-write", folder)
    settle("a run killed at an atomic write", found)


def test_a_run_killed_while_it_grows_ends_the_same(start, whole):
    """A finished run that is given another seed, and a kill: nothing of what was finished is lost or left out."""
    folder, _ = whole
    points, grown = Points(), "grow-run"
    start(grown, "seeds=[1]")
    with watch_writes(points):
        start(grown)
    tried = sampled(range(1, len(points.seen) + 1), 4, seed=2)
    shutil.rmtree(folder.with_name(grown))
    found = {}
    for at in tried:
        start("kill-grow", "seeds=[1]")
        with watch_writes(Points(at, leave_half)), pytest.raises(Killed):
            start("kill-grow")
        found[at] = faults(start, "kill-grow", folder)
    settle("a finished run killed while it is given another seed", found)


def test_a_run_with_files_for_other_libraries_killed_at_any_write_of_them_ends_the_same(start):
    """A LoRA is also written as PEFT reads it."""
    lora = ["adapter={name: lora, rank: 2}", "seeds=[1]"]
    points = Points()
    with watch_writes(points):
        folder = start("lora-run", *lora)
    stages = [at for at, (_, path) in enumerate(points.seen, start=1) if path.parent.name == "peft_lora"]
    found = {}
    for at in sampled(stages, 3):
        with watch_writes(Points(at, leave_half)), pytest.raises(Killed):
            start("kill-lora", *lora)
        found[at] = faults(start, "kill-lora", folder, *lora)
    settle("a run killed while it writes for other libraries", found)


def test_a_comparison_killed_at_any_write_ends_with_the_same_scores(world, tiny_checkpoint, tmp_path, monkeypatch):
    """In whichever method it was; a comparison's other files say how long it took."""

    def begin(name):
        monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / f"{name}-cache"))
        small = [*PARTS, "seeds=[1]", "train.num_train_epochs=1", f"output_dir={tmp_path / name}"]
        backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
        compared = {"methods": ["frozen-head", "lingraft"], "learning_rates": {"lingraft": [1e-3, 1e-2]}}
        parallel = {"files": str(world / f"pairs.{TARGET}.tsv")}
        quick_compare(world_recipe(world, small, backbone=backbone, compare=compared, parallel=parallel))
        return (tmp_path / name / "scores.jsonl").read_text(encoding="utf-8")

    points = Points()
    with watch_writes(points):
        whole = begin("whole-comparison")
    found = {}
    for at in sampled(range(1, len(points.seen) + 1), 3, seed=3):
        with watch_writes(Points(at, leave_half)), pytest.raises(Killed):
            begin("kill-comparison")
        same = begin("kill-comparison") == whole
        left = [path.name for path in (tmp_path / "kill-comparison").rglob(f"{TEMPORARY}*")]
        found[at] = left if same else ["scores.jsonl", *left]
        for place in ("kill-comparison", "kill-comparison-cache"):
            shutil.rmtree(tmp_path / place)
    settle("a comparison killed at an atomic write", found)


def kill():
    """Stop here, uncaught."""
    raise Killed


def test_a_run_killed_at_any_step_ends_the_same(start, whole):
    """Of the frozen head's fit and of the training, in either trial; with its state saved at each step, or never."""
    steps = Stopping(10**9)
    start("count-steps", reporter=steps)
    possible = [(at, every) for at in range(1, 10**9 - steps.left + 1) for every in (SAVED, 1e9)]
    tried = sampled(possible, 8)
    found = {}
    for at, every in tried:
        with pytest.raises(Killed):
            start("kill-step", reporter=Stopping(at, stop=kill), save_every=every)
        found[at, every] = faults(start, "kill-step", whole[0])
    settle("a run killed at a step of its training", found)


def die(stage, path, temporary):
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def start_to_die(start, name, at):
    """Run until a stage of a write, in a process that ends there."""
    with watch_writes(Points(at, die)):
        start(name)


def test_a_process_ended_by_sigkill_at_a_write_continues_the_same(start, whole, fork):
    """The system itself ends it: locks are let go, temporary files stay, and the next run sweeps them."""
    folder, stages = whole
    tried = sampled(range(1, len(stages) + 1), 4, seed=1)
    found = {}
    for at in tried:
        process = fork.Process(target=start_to_die, args=(start, "sigkill", at))
        process.start()
        process.join(timeout=120)
        assert process.exitcode == -signal.SIGKILL
        found[at] = faults(start, "sigkill", folder)
    settle("a run's process ended by SIGKILL at an atomic write", found)


def fail(code, *, cut=False):
    """Refuse a write as the system does; after a short write, half of what was to be written is there."""

    def act(stage, path, temporary):
        if cut and temporary is not None and temporary.exists():
            os.truncate(temporary, temporary.stat().st_size // 2)
        raise OSError(code, os.strerror(code))

    return act


FAILURES = {
    "no space left on the device": fail(errno.ENOSPC),
    "an input/output error": fail(errno.EIO),
    "a short write": fail(errno.ENOSPC, cut=True),
    "a folder made read-only": fail(errno.EACCES),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_run_that_the_disk_refuses_ends_in_one_line_and_continues_the_same(start, whole, failure):
    """One error of ours that names the cause; what the file held before is still there."""
    folder, stages = whole
    possible = [at for at, (stage, _) in enumerate(stages, start=1) if stage != "done"]
    tried = sampled(possible, 5, seed=sorted(FAILURES).index(failure))
    found = {}
    for at in tried:
        seen = []

        def refuse(stage, path, temporary, seen=seen):
            before = path.read_bytes() if path.exists() else None
            seen.append((path, before))
            FAILURES[failure](stage, path, temporary)

        said = ""
        try:
            with watch_writes(Points(at, refuse)):
                start("refused")
        except LingraftError as error:
            said = str(error)
        ((path, before),) = seen
        one_line = (str(path) in said and "\n" not in said) or "refused-cache" in str(path)  # which can be done without
        kept = (path.read_bytes() if path.exists() else None) == before
        complaints = ([] if one_line else [f"said {said!r}"]) + ([] if kept else [f"{path} is not what it was"])
        found[at, str(path)] = faults(start, "refused", folder) + complaints
    settle(f"a run refused by the disk: {failure}", found)


def test_a_run_that_outgrows_its_disk_continues_the_same(start, whole):
    """A limit that the system itself puts on files, for every library that writes one; with room for less or more."""
    folder, _ = whole
    largest = max(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    tried = sampled(range(16, largest, 16), 6, seed=9)
    found = {}
    for room in tried:
        with full_disk(room), suppress(LingraftError):
            start("outgrown")
        found[room] = faults(start, "outgrown", folder)
    settle("a run on a disk with room for so many bytes", found)
