"""The store of frozen states: spaces, looking up texts, damage, bounds."""

import errno
import logging
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.backbones import shards
from lingraft.backbones import state_cache as cache
from lingraft.backbones.shards import shard_bytes
from lingraft.backbones.state_cache import (
    add_texts,
    filling,
    locate_texts,
    open_texts,
    prune,
    require_room,
    space_key,
)
from lingraft.core.errors import CacheError, RunError
from lingraft.core.files import TEMPORARY, locked
from lingraft.core.stored_states import ABANDONED, CacheInfo, info, list_shards
from posix_only import make_pipe
from stored_states import SPACE, make_table, names, write

FIELDS = {
    "weights_digest": st.text("ab1", max_size=3),
    "tokenizer_digest": st.text("ab1", max_size=3),
    "cut": st.integers(0, 12),
    "dtype": st.sampled_from(["float32", "float16"]),
    "precision": st.sampled_from(["float32", "bfloat16"]),
    "device": st.sampled_from(["cpu", "cuda"]),
}
INPUTS = st.fixed_dictionaries(FIELDS)
PLENTY = 10**9


@pytest.fixture
def space(tmp_path):
    """The folder of a space; those of all spaces are beside it."""
    return tmp_path / SPACE


def make_wide(seed=0):
    """A table next to which a header is small."""
    return make_table(width=500, seed=seed)


def add(space, table, digests, max_bytes=PLENTY):
    """Store a table and let it go; say where its shard is."""
    before = {shard.path for shard in list_shards(space)}
    with filling(space):
        add_texts(space, table, digests, max_bytes=max_bytes)
    (path,) = {shard.path for shard in list_shards(space)} - before
    return path


# ---- Spaces ----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(INPUTS, INPUTS)
def test_distinct_inputs_have_distinct_spaces(one, other):
    """Two keys are equal exactly when everything that went into them is."""
    same = one == other

    assert (space_key(**one) == space_key(**other)) is same


def test_a_space_names_the_version(monkeypatch):
    """Raising VERSION makes all older shards unreachable."""
    fields = {"weights_digest": "w", "tokenizer_digest": "t", "cut": 8, "dtype": "float32"}
    fields |= {"precision": "float32", "device": "cpu"}
    before = space_key(**fields)
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)

    assert space_key(**fields) != before
    assert len(before) == 64
    assert set(before) <= set("0123456789abcdef")


# ---- Looking up ------------------------------------------------------------------------------------


def test_texts_are_found_in_whatever_shard_they_are(space):
    """Each with its own states, in the first of several shards that have it; what is in none is left out."""
    write(space, make_table(seed=0), names(5))
    write(space, make_table(seed=1), names(5, first=3))

    found = open_texts(space, names(20), layer=2)

    assert set(found) == set(names(8))
    for i, digest in enumerate(names(3)):
        table, row = found[digest]
        assert (row, np.array_equal(table.tokens, make_table(seed=0).tokens)) == (i, True)
    for i, digest in enumerate(names(3, first=5)):
        table, row = found[digest]
        assert (row, np.array_equal(table.tokens, make_table(seed=1).tokens)) == (i + 2, True)
    assert len({id(table) for table, _ in found.values()}) == 2


def test_nothing_is_found_where_nothing_is(tmp_path):
    """Looking up in a space that is not there neither fails nor writes."""
    assert open_texts(tmp_path / "nowhere", names(3), layer=2) == {}
    assert not (tmp_path / "nowhere").exists()


def test_ten_thousand_texts_are_looked_up_without_reading_a_state(space):
    """In forty shards all of whose states were overwritten: only which texts they hold was read."""
    for i in range(40):
        path = write(space, make_table([2] * 250, seed=i), names(250, first=250 * i))
        states, content = make_table([2] * 250, seed=i).tokens.tobytes(), path.read_bytes()
        path.write_bytes(content.replace(states, bytes(len(states))))

    places = locate_texts(space, names(10_000))

    assert len(places) == 10_000
    assert all(places[digest][1] == i % 250 for i, digest in enumerate(names(10_000)))
    assert len({path for path, _ in places.values()}) == 40
    assert open_texts(space, names(10_000), layer=2) == {}  # on opening, the damage is found


def test_a_damaged_shard_is_dropped_and_others_are_not(space, caplog):
    """What the damaged one holds is taken from another shard that has it too, or is missing."""
    write(space, make_table(seed=0), names(5))
    damaged = write(space, make_table(seed=1), names(5, first=5))
    write(space, make_table(seed=2), names(2, first=8) + names(3, first=20))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")

    with caplog.at_level(logging.WARNING):
        found = open_texts(space, names(10), layer=2)

    assert set(found) == {*names(5), *names(2, first=8)}
    assert all(np.array_equal(found[digest][0].tokens, make_table(seed=2).tokens) for digest in names(2, first=8))
    assert caplog.text.count("is damaged") == 1
    assert str(damaged) in caplog.text
    assert not damaged.exists()


def test_a_damaged_shard_that_cannot_be_removed_is_passed_over(space, caplog, monkeypatch):
    """In a cache that may only be read its texts are missing, and that is all."""
    path = write(space, make_table(), names(5))
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    def refuse(*_, **__):
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "unlink", refuse)

    assert open_texts(space, names(5), layer=2) == {}
    assert "is damaged" in caplog.text


def test_a_space_that_is_a_file_is_reported(space):
    """With a cure, not a traceback."""
    space.write_text("")

    with pytest.raises(CacheError, match="LINGRAFT_CACHE"):
        open_texts(space, names(1), layer=2)
    with pytest.raises(CacheError, match="LINGRAFT_CACHE"), filling(space):
        pass


# ---- Filling ---------------------------------------------------------------------------------------


def test_what_was_added_is_found(space):
    """The places that adding returns are those that looking up finds."""
    with filling(space):
        added = add_texts(space, make_table(), names(5), max_bytes=PLENTY)
    found = open_texts(space, names(5), layer=2)

    assert {digest: (id(table), row) for digest, (table, row) in found.items()} == {
        digest: (id(table), row) for digest, (table, row) in added.items()
    }


def test_half_written_shards_are_swept(space):
    """What a killed process left half written goes before the space is filled again; nothing else does."""
    path = write(space, make_table(), names(5))
    (space / ".lingraft-shard-abc.safetensors").write_bytes(b"half")
    (space / "notes.txt").write_text("a person's")

    with filling(space):
        left = {entry.name for entry in space.iterdir()}

    assert left == {path.name, "notes.txt", "space.lock"}


def test_a_failing_computation_leaves_nothing(space):
    """An exception comes through, and the next attempt starts afresh."""
    with pytest.raises(RuntimeError, match="no backbone"), filling(space):
        raise RuntimeError("no backbone")

    assert list(list_shards(space)) == []
    assert add(space, make_table(), names(5)).exists()


# ---- Bounds ----------------------------------------------------------------------------------------


def test_least_recently_used_shards_make_room(space, tmp_path):
    """The shard of any space that was not used for longest goes first; a look-up counts as use."""
    limit, spaces = 3 * shard_bytes(make_wide()), [space, tmp_path / ("6" * 64), space]
    paths = [add(folder, make_wide(i), names(5, first=5 * i), limit) for i, folder in enumerate(spaces)]
    for i, path in enumerate(paths):
        os.utime(path, (i, i))
    assert len(open_texts(space, names(5), layer=2)) == 5

    new = add(space, make_wide(3), names(5, first=15), limit)

    assert [path.exists() for path in (*paths, new)] == [True, False, True, True]
    assert info(tmp_path).bytes <= limit


def test_shards_in_use_are_not_removed(space):
    """A table that somebody holds keeps its file, however old, and another shard goes."""
    limit = 2 * shard_bytes(make_wide())
    first, second = (add(space, make_wide(i), names(5, first=5 * i), limit) for i in range(2))
    held = open_texts(space, names(5), layer=2)
    os.utime(first, (0, 0))

    add(space, make_wide(2), names(5, first=10), limit)

    assert (first.exists(), second.exists()) == (True, False)
    assert len(held) == 5


def test_a_run_that_needs_more_than_the_bound_is_reported(space, tmp_path):
    """Where the shards in use leave no room, the message names sizes and cure, and they survive."""
    size = shard_bytes(make_table())
    with filling(space):
        held = add_texts(space, make_table(), names(5), max_bytes=size)

        with pytest.raises(CacheError, match=r"this run uses .*max_gigabytes"):
            add_texts(space, make_table(), names(5, first=5), max_bytes=size)
        with pytest.raises(CacheError, match=r"this run uses .*max_gigabytes"):
            require_room(tmp_path, size, max_bytes=size)

    assert open_texts(space, names(5), layer=2).keys() == held.keys()


def test_more_than_the_bound_is_refused(space, tmp_path):
    """The message names both sizes and the settings to change, and what is stored stays."""
    kept = add(space, make_table(), names(5))

    told = r"4\.23 MB.* bounded to 1\.00 MB.*cache\.max_gigabytes.*float16"
    with pytest.raises(CacheError, match=told):
        require_room(tmp_path, shard_bytes(make_table((1000,), width=1057)), max_bytes=10**6)

    assert kept.exists()


def full_disk_by_system(arrays, path):
    """Half a file, then the error that Python's own writes raise."""
    Path(path).write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_disk_by_library(arrays, path):
    """Half a file, then the error that the safetensors library makes of it."""
    Path(path).write_bytes(b"half")
    raise shards.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize("save_file", [full_disk_by_system, full_disk_by_library])
def test_a_full_disk_keeps_what_was_there(space, monkeypatch, save_file):
    """Saving on a full disk says so, leaves no partial file and no harm to other shards."""
    before = add(space, make_table(), names(5))
    monkeypatch.setattr(shards, "save_file", save_file)

    with (
        filling(space),
        pytest.raises(CacheError, match=r"is full; .*lingraft cache prune.*float16.*LINGRAFT_CACHE"),
    ):
        add_texts(space, make_table(), names(5, first=5), max_bytes=PLENTY)

    assert sorted(path.name for path in space.iterdir()) == sorted([before.name, "space.lock"])
    assert len(open_texts(space, names(5), layer=2)) == 5


def test_another_write_error_names_path_and_cure(space, monkeypatch):
    """A disk that refuses for another reason is named with its reason."""

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(shards, "save_file", refuse)

    with filling(space), pytest.raises(CacheError, match=rf"{SPACE}: .*Read-only.*LINGRAFT_CACHE"):
        add_texts(space, make_table(), names(5), max_bytes=PLENTY)


# ---- Information and pruning -----------------------------------------------------------------------


def test_info_of_an_empty_cache(tmp_path):
    """Where nothing was stored there is nothing to tell, and no folder is made."""
    assert info(tmp_path / "nowhere") == CacheInfo(0, 0, None, None)
    assert prune(tmp_path / "nowhere") == (0, 0)
    assert not (tmp_path / "nowhere").exists()


def test_info_counts_shards_bytes_and_times(space, tmp_path):
    """Of all spaces, complete shards only; times are those of the last use."""
    paths = [add(space, make_table(), names(5)), add(tmp_path / ("6" * 64), make_table(), names(5))]
    for i, path in enumerate(paths):
        os.utime(path, (i, i))
    (space / ".lingraft-shard-123.safetensors").write_bytes(b"half")

    found = info(tmp_path)

    assert (found.shards, found.bytes) == (2, sum(path.stat().st_size for path in paths))
    assert (found.oldest.timestamp(), found.newest.timestamp()) == (0, 1)


def test_a_folder_of_a_temporary_name_stops_no_pruning(tmp_path):
    """It is no file of ours: it stays, and what is half written goes."""
    strange, half = tmp_path / f"{TEMPORARY}folder", tmp_path / f"{TEMPORARY}half.safetensors"
    strange.mkdir()
    half.write_bytes(b"half")
    prune(tmp_path)
    assert strange.is_dir()
    assert not half.exists()


def test_prune_removes_down_to_the_bound(space, tmp_path):
    """Pruning takes the oldest first, counts what it freed, and clears leftovers of crashes."""
    paths = [add(space, make_table(seed=i), names(5, first=5 * i)) for i in range(3)]
    for i, path in enumerate(paths):
        os.utime(path, (i, i))
    size = paths[0].stat().st_size
    (space / ".lingraft-shard-123.safetensors").write_bytes(b"half")

    assert prune(tmp_path, max_bytes=size) == (2, 2 * size)
    assert sorted(path.name for path in space.iterdir()) == sorted([paths[2].name, "space.lock"])
    assert prune(tmp_path) == (1, size)
    assert info(tmp_path).shards == 0


def test_prune_removes_what_an_older_version_stored(space, tmp_path):
    """An entry for a list of texts, with its lock; whatever else lies in the folder stays."""
    kept = add(space, make_table(), names(5))
    (tmp_path / f"{'a' * 64}.safetensors").write_bytes(b"twelve bytes")
    (tmp_path / f"{'a' * 64}.lock").touch()
    (tmp_path / "notes.safetensors").touch()

    assert info(tmp_path).shards == 1
    assert prune(tmp_path, max_bytes=PLENTY) == (1, 12)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([SPACE, "folder.lock", "notes.safetensors"])
    assert kept.exists()


def hold(space, started, done):
    """Fill a space until told to stop."""
    with locked(space / "space.lock"):
        started.set()
        done.wait(timeout=30)


def test_prune_leaves_a_shard_that_is_being_written(space, tmp_path, fork):
    """A space that another process fills is not swept."""
    started, done = fork.Event(), fork.Event()
    process = fork.Process(target=hold, args=(space, started, done))
    process.start()
    assert started.wait(timeout=30)
    half = space / ".lingraft-shard-123.safetensors"
    half.write_bytes(b"half")

    prune(tmp_path)
    during = half.exists()
    done.set()
    process.join(timeout=30)
    prune(tmp_path)

    assert (during, half.exists()) == (True, False)


# ---- What a killed process leaves ------------------------------------------------------------------


def fill(space):
    """Add a text to a space, as a run does."""
    with filling(space):
        add_texts(space, make_table([2]), names(1), max_bytes=10**9)


def leave_half(space, *, old=0.0):
    """What a killed writer leaves in a space: a file of 100 bytes, written so many seconds ago."""
    space.mkdir(parents=True, exist_ok=True)
    leftover = space / f"{TEMPORARY}shard-{len(list(space.iterdir()))}.safetensors"
    leftover.write_bytes(bytes(100))
    then = time.time() - old
    os.utime(leftover, (then, then))
    return leftover


def test_what_a_killed_writer_left_is_counted(tmp_path):
    """It takes room, though nobody can read it."""
    for _ in range(3):
        leave_half(tmp_path / SPACE)
    assert (info(tmp_path).shards, info(tmp_path).unfinished) == (0, 300)


def test_what_killed_writers_left_in_other_spaces_makes_room_for_a_shard(tmp_path):
    """Whoever wrote there is gone, since its lock is free; while somebody holds it, only what is a day old goes."""
    left, held = leave_half(tmp_path / ("b" * 64)), tmp_path / ("c" * 64)
    young, old = leave_half(held), leave_half(held, old=ABANDONED + 60)
    with locked(held / "space.lock"):
        fill(tmp_path / SPACE)
    assert (left.exists(), young.exists(), old.exists()) == (False, True, False)


@pytest.mark.parametrize("lock", ["space.lock", "folder.lock"])
def test_a_pipe_in_the_place_of_a_lock_is_refused(tmp_path, lock):
    """Opening it would wait for ever."""
    (tmp_path / SPACE).mkdir()
    place = tmp_path / SPACE / lock if lock == "space.lock" else tmp_path / lock
    make_pipe(place)
    with pytest.raises(RunError, match=f"{lock}: expected a regular file to lock, found a pipe"):
        fill(tmp_path / SPACE)
