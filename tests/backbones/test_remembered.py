"""Digests that are remembered: believed for the same files, and for nothing else."""

import os
import time

import pytest

from lingraft.backbones import remembered
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.remembered import note_digests, recall_digests, stamp_files
from lingraft.core.files import cache_root
from tiny import random_model, save_checkpoint

DIGESTS = {"weights": "1", "tokenizer": "2"}


@pytest.fixture
def settled(tmp_path, monkeypatch):
    """A folder with a file, where a file counts as settled at once, and what was noted of it."""
    monkeypatch.setattr(remembered, "SETTLED", 0.0)
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "weights").write_bytes(b"0123456789")
    time.sleep(0.02)  # the clock of a file system is coarse
    note_digests(folder, stamp_files(folder), DIGESTS)
    assert recall_digests(folder) == DIGESTS
    return folder


def overwrite_keeping_its_time(folder):
    """Other bytes, and the time of modification of before."""
    path = folder / "weights"
    before = path.stat()
    path.write_bytes(b"9876543210")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(folder):
    """Another file of the same size in its place."""
    (folder / "new").write_bytes(b"0123456789")
    (folder / "new").replace(folder / "weights")


@pytest.mark.parametrize(
    "change",
    [
        overwrite_keeping_its_time,
        replace,
        lambda folder: (folder / "another").touch(),
        lambda folder: (folder / "weights").unlink(),
    ],
    ids=["overwritten", "replaced", "added", "removed"],
)
def test_a_changed_file_is_noticed(settled, change):
    """Even where size and time of modification are what they were."""
    change(settled)

    assert recall_digests(settled) is None


def test_files_that_change_while_they_are_hashed_are_not_noted(settled):
    """The digests may be of the old content or of the new one."""
    seen = stamp_files(settled)
    overwrite_keeping_its_time(settled)
    note_digests(settled, seen, {"weights": "3"})

    assert recall_digests(settled) is None


def test_what_was_written_just_now_is_not_noted(settled, monkeypatch):
    """Within the grain of the file system's clock, a second change would leave the same stamps."""
    monkeypatch.setattr(remembered, "SETTLED", 3600.0)
    replace(settled)
    note_digests(settled, stamp_files(settled), DIGESTS)

    assert recall_digests(settled) is None


@pytest.mark.parametrize("age", [remembered.BELIEVED + 1, -60.0], ids=["old", "from the future"])
def test_a_record_is_believed_for_a_week(settled, monkeypatch, age):
    """A disk that rots changes no stamp."""
    now = time.time() + age
    monkeypatch.setattr(time, "time", lambda: now)

    assert recall_digests(settled) is None


@pytest.mark.parametrize("record", ["", "[]", '{"time": "x"}', '{"time": 1e12, "digests": 3}'])
def test_a_damaged_record_is_none(settled, record):
    """Whatever lies in the cache, digests are made anew."""
    *_, path = sorted((cache_root() / "digests").glob("*.json"), key=os.path.getmtime)
    path.write_text(record)

    assert recall_digests(settled) is None


def test_only_who_trusts_believes_a_record(tmp_path, monkeypatch):
    """Prediction takes what was noted; a training hashes what it reads."""
    monkeypatch.setattr(remembered, "SETTLED", 0.0)
    folder = save_checkpoint(tmp_path / "checkpoint", random_model("bert"))
    time.sleep(0.02)
    made = load_backbone(str(folder))
    note_digests(folder, stamp_files(folder), DIGESTS)

    assert load_backbone(str(folder), trusting=True).weights_digest == "1"
    assert load_backbone(str(folder)).weights_digest == made.weights_digest
    assert load_backbone(str(folder), trusting=True).weights_digest == made.weights_digest
