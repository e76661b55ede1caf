"""Tests of lingraft.backbones.state_cache: keys, tables, damage, two processes, bounds."""

import errno
import gc
import logging
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from lingraft.backbones import state_cache as cache
from lingraft.backbones.state_cache import entry_bytes, entry_key, info, open_entry, prune, stored
from lingraft.backbones.state_table import StateTable
from lingraft.core.errors import CacheError
from lingraft.core.records import States

FIELDS = {
    "weights_digest": "w",
    "tokenizer_digest": "t",
    "cut": 8,
    "max_length": 64,
    "dtype": "float32",
    "precision": "float32",
}
TEXTS = st.one_of(
    st.lists(st.text(max_size=6), max_size=5),
    st.lists(st.lists(st.integers(0, 2**40), max_size=4).map(tuple), max_size=5),
)
INPUTS = st.fixed_dictionaries(
    {
        "weights_digest": st.text("ab1", max_size=3),
        "tokenizer_digest": st.text("ab1", max_size=3),
        "cut": st.integers(0, 12),
        "max_length": st.integers(1, 12),
        "dtype": st.sampled_from(["float32", "float16"]),
        "precision": st.sampled_from(["float32", "bfloat16"]),
        "texts": TEXTS,
    }
)


def make_table(lengths=(3, 1, 4, 0, 2), width=5, layer=2, dtype="float32", seed=0):
    """A table of random numbers."""
    rng = np.random.default_rng(seed)
    table = StateTable.empty(lengths, width=width, layer=layer, dtype=dtype)
    table.tokens[:] = rng.standard_normal(table.tokens.shape)
    table.pooled[:] = rng.standard_normal(table.pooled.shape)
    return table


def make_wide():
    """A table next to which a header is small."""
    return make_table(width=500)


def entry_size(table):
    """What the bound counts for a table: its arrays and room for a header."""
    return table.nbytes + 1024


def build_slowly(folder, barrier, results):
    """What each of two processes does (a function of the module, so that it can be sent to one)."""
    calls = []

    def build():
        calls.append(1)
        time.sleep(0.4)
        return make_table()

    barrier.wait()
    table = stored("shared", build, folder=folder)
    results.put((len(calls), table.tokens.tobytes(), table.offsets.tobytes(), table.pooled.tobytes()))


# ---- Keys ------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(INPUTS, INPUTS)
def test_distinct_inputs_have_distinct_keys(one, other):
    """Two keys are equal exactly when everything that went into them is."""
    same = one == other

    assert (entry_key(**one) == entry_key(**other)) is same


@settings(deadline=None)
@given(st.lists(st.text("ab", max_size=4), min_size=2, max_size=4), st.data())
def test_boundaries_between_texts_count(texts, data):
    """Moving the border between two texts changes the key, though all characters stay in place."""
    joined = "".join(texts)
    cut = data.draw(st.integers(0, len(joined)))
    moved = [joined[:cut], joined[cut:]]

    assert (entry_key(**FIELDS, texts=texts) == entry_key(**FIELDS, texts=moved)) is (texts == moved)


def test_order_of_texts_counts():
    """The same texts in another order are another entry."""
    assert entry_key(**FIELDS, texts=[(1, 2), (3,)]) != entry_key(**FIELDS, texts=[(3,), (1, 2)])


def test_boundaries_of_token_ids_count():
    """Token ids do not run together across texts."""
    keys = {
        entry_key(**FIELDS, texts=texts) for texts in ([(1, 2), (3,)], [(1,), (2, 3)], [(1, 2, 3)], [(1, 2, 3), ()])
    }

    assert len(keys) == 4


def test_key_names_the_version(monkeypatch):
    """Raising VERSION makes all older entries unreachable."""
    before = entry_key(**FIELDS, texts=["a"])
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)

    assert entry_key(**FIELDS, texts=["a"]) != before


def test_key_is_a_digest_that_stays():
    """The key of an input does not depend on the process, so a later run finds the entry."""
    key = entry_key(**FIELDS, texts=["ẹ kú àárọ̀", "\ud800"])

    assert key == entry_key(**FIELDS, texts=("ẹ kú àárọ̀", "\ud800"))
    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")


# ---- Tables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_round_trip_keeps_every_value(tmp_path, dtype):
    """What comes back from the disk is what was built, bit by bit."""
    table = make_table(dtype=dtype)

    mapped = stored("k", lambda: table, folder=tmp_path)

    assert mapped is not table
    assert mapped.tokens.dtype == dtype
    assert np.array_equal(mapped.tokens, table.tokens)
    assert np.array_equal(mapped.offsets, table.offsets)
    assert np.array_equal(mapped.pooled, table.pooled)
    assert mapped.layer == table.layer
    assert len(mapped) == 5
    assert mapped.lengths().tolist() == [3, 1, 4, 0, 2]
    assert not mapped.tokens.flags.writeable


def test_entry_is_an_ordinary_safetensors_file(tmp_path):
    """The safetensors library reads an entry without us."""
    table = make_table()
    stored("k", lambda: table, folder=tmp_path)

    arrays = load_file(tmp_path / "k.safetensors")

    assert set(arrays) == {"tokens", "offsets", "pooled"}
    assert np.array_equal(arrays["tokens"], table.tokens)


@pytest.mark.parametrize("lengths", [(), (0,), (0, 0), (1,)])
def test_round_trip_of_next_to_nothing(tmp_path, lengths):
    """No texts, and texts without tokens, are entries too."""
    table = make_table(lengths)

    mapped = stored("k", lambda: table, folder=tmp_path)

    assert np.array_equal(mapped.tokens, table.tokens)
    assert mapped.batch(range(len(lengths))).tokens.shape == (len(lengths), max(lengths, default=0), 5)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_batch_equals_a_plain_loop(dtype, data):
    """A batch holds each text's states, then zeros, and its mask says which is which."""
    lengths = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=7))
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=9))
    table = make_table(lengths, dtype=dtype)
    longest = max((lengths[row] for row in rows), default=0)
    tokens, mask = torch.zeros(len(rows), longest, 5), torch.zeros(len(rows), longest, dtype=torch.int64)
    for i, row in enumerate(rows):
        for t in range(lengths[row]):
            tokens[i, t] = torch.tensor(table.tokens[table.offsets[row] + t].astype(np.float32))
            mask[i, t] = 1

    states = table.batch(rows)

    assert states.layer == 2
    assert states.tokens.dtype == torch.float32
    assert torch.equal(states.tokens, tokens)
    assert torch.equal(states.mask, mask)


def test_batch_of_a_mapped_table_may_be_changed(tmp_path):
    """A batch is a copy: writing into it leaves the entry as it is."""
    mapped = stored("k", make_table, folder=tmp_path)
    mapped.batch([0, 2]).tokens.fill_(7.0)
    mapped.pooled_rows([0]).fill_(7.0)

    assert np.array_equal(mapped.tokens, make_table().tokens)
    assert np.array_equal(mapped.pooled, make_table().pooled)


def test_pooled_rows_come_in_the_order_asked():
    """Pooled states are gathered by row."""
    table = make_table()

    assert torch.equal(table.pooled_rows([4, 0, 4]), torch.tensor(table.pooled[[4, 0, 4]]))


@pytest.mark.parametrize("rows", [[-1], [5], [0, -2]])
def test_rows_that_do_not_exist_are_refused(rows):
    """A negative row does not count from the end: it would take the wrong tokens."""
    for gather in (make_table().batch, make_table().pooled_rows):
        with pytest.raises(IndexError, match="table of 5 texts"):
            gather(rows)


def test_put_and_batch_are_inverse():
    """Rows written in any order are read back."""
    source = make_table()
    table = StateTable.empty(source.lengths(), width=5, layer=2)
    for rows in ([4, 1], [0, 3, 2]):
        table.put(rows, source.batch(rows), source.pooled_rows(rows))

    assert np.array_equal(table.tokens, source.tokens)
    assert np.array_equal(table.pooled, source.pooled)


def test_put_rounds_to_float16():
    """A float16 table stores the nearest 16-bit number and gives it back as float32."""
    tokens = torch.full((1, 2, 3), 0.1)
    table = StateTable.empty([2], width=3, layer=0, dtype="float16")
    table.put([0], States(tokens, torch.ones(1, 2), 0), torch.full((1, 3), 0.1))

    assert torch.equal(table.batch([0]).tokens, tokens.half().float())
    assert torch.equal(table.pooled_rows([0]), torch.full((1, 3), 0.1))


def test_put_refuses_what_float16_cannot_hold():
    """Activations beyond 65504 are refused, not stored as infinity."""
    table = StateTable.empty([1], width=1, layer=0, dtype="float16")

    with pytest.raises(CacheError, match=r"reach 7e\+04.*cache.dtype to float32"):
        table.put([0], States(torch.full((1, 1, 1), 7e4), torch.ones(1, 1), 0), torch.zeros(1, 1))


def test_put_refuses_other_lengths_and_layers():
    """A batch that is not what the table was made for is refused."""
    table = StateTable.empty([2], width=1, layer=3)
    for mask, layer in ((torch.ones(1, 1), 3), (torch.ones(1, 2), 4)):
        with pytest.raises(ValueError, match="expected texts of \\[2\\] tokens at layer 3"):
            table.put([0], States(torch.zeros(1, 2, 1), mask, layer), torch.zeros(1, 1))


@pytest.mark.parametrize(
    "change",
    [
        {"offsets": np.array([0, 3, 2])},
        {"offsets": np.array([1, 2, 3])},
        {"offsets": np.array([0, 3])},
        {"tokens": np.zeros((3, 2))},
        {"tokens": np.zeros(3, np.float32)},
    ],
)
def test_arrays_must_fit_together(change):
    """A table is checked once, when it is made."""
    good = {
        "tokens": np.zeros((3, 2), np.float32),
        "offsets": np.array([0, 1, 3]),
        "pooled": np.zeros((2, 2), np.float32),
        "layer": 0,
    }
    StateTable(**good)

    with pytest.raises(ValueError):
        StateTable(**good | change)


# ---- The store -------------------------------------------------------------------------------------


def test_build_is_called_once(tmp_path):
    """The second look-up reads the file, also after the first table is gone."""
    calls = []

    def build():
        calls.append(1)
        return make_table()

    for _ in range(3):
        stored("k", build, folder=tmp_path)
        gc.collect()

    assert len(calls) == 1


def test_entries_live_in_the_cache_root(monkeypatch, tmp_path):
    """LINGRAFT_CACHE says where entries go, and nothing but the entry and one lock is left there."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    stored("k", make_table)

    assert open_entry("k") is not None
    assert info().entries == 1
    assert sorted(path.name for path in (tmp_path / "states").iterdir()) == ["folder.lock", "k.safetensors"]


def test_a_missing_entry_is_none(tmp_path):
    """Looking up what is not there neither fails nor writes."""
    assert open_entry("k", folder=tmp_path / "nowhere") is None
    assert not (tmp_path / "nowhere").exists()


def test_a_table_in_use_is_handed_out_again(tmp_path):
    """Opening an entry twice at once maps and verifies it once."""
    table = stored("k", make_table, folder=tmp_path)

    assert open_entry("k", folder=tmp_path) is table


def test_a_failing_build_leaves_nothing(tmp_path):
    """An exception in build comes through, and the next attempt starts afresh."""

    def fail():
        raise RuntimeError("no backbone")

    with pytest.raises(RuntimeError, match="no backbone"):
        stored("k", fail, folder=tmp_path)

    assert list(tmp_path.iterdir()) == []
    assert len(stored("k", make_table, folder=tmp_path)) == 5


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: b"not safetensors",
        lambda content: content + b"\0",
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content[:-3] + bytes([content[-3] ^ 1]) + content[-2:],
    ],
    ids=["half", "one byte short", "empty", "other format", "one byte long", "huge header", "flipped bit"],
)
def test_damaged_entries_are_rebuilt(tmp_path, caplog, damage):
    """Damage is noticed, told, and cured by building again."""
    path = tmp_path / "k.safetensors"
    stored("k", make_table, folder=tmp_path)
    gc.collect()
    path.write_bytes(damage(path.read_bytes()))

    with caplog.at_level(logging.WARNING):
        table = stored("k", make_table, folder=tmp_path)

    assert np.array_equal(table.tokens, make_table().tokens)
    assert "damaged" in caplog.text
    assert np.array_equal(load_file(path)["tokens"], make_table().tokens)


def test_any_flipped_byte_is_noticed(tmp_path):
    """Wherever one bit of an entry changes, the entry is not handed out as something else."""
    path = tmp_path / "k.safetensors"
    stored("k", lambda: make_table((1, 2), width=1), folder=tmp_path)
    content = path.read_bytes()
    reference = make_table((1, 2), width=1)

    for position in range(len(content)):
        changed = tmp_path / f"flip{position}.safetensors"
        changed.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        table = open_entry(changed.stem, folder=tmp_path)
        # The version in the header is a note for people; the checksum holds the one that counts.
        assert table is None or (np.array_equal(table.tokens, reference.tokens) and table.layer == 2), position
        assert changed.exists() is (table is not None)


def test_opening_discards_a_damaged_entry(tmp_path, caplog):
    """A plain look-up of a damaged entry finds nothing and removes it."""
    (tmp_path / "k.safetensors").write_bytes(b"12345678{}")

    assert open_entry("k", folder=tmp_path) is None
    assert not (tmp_path / "k.safetensors").exists()
    assert "k.safetensors is damaged" in caplog.text


def test_two_processes_build_once(tmp_path):
    """Two processes that ask at once get equal tables, and one of them waited."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=build_slowly, args=(tmp_path, barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    (calls_a, *table_a), (calls_b, *table_b) = results.get(timeout=60), results.get(timeout=60)
    for process in processes:
        process.join()

    assert calls_a + calls_b == 1
    assert table_a == table_b
    assert table_a[0] == make_table().tokens.tobytes()
    assert info(tmp_path).entries == 1


# ---- Bounds ----------------------------------------------------------------------------------------


def test_entry_bytes_bounds_the_file(tmp_path):
    """The size announced is the size refused by, and at most a header larger than the file."""
    table = make_table(dtype="float16")
    stored("k", lambda: table, folder=tmp_path)
    announced = entry_bytes([3, 1, 4, 0, 2], width=5, dtype="float16")

    assert announced == entry_size(table)
    assert announced - 1024 < (tmp_path / "k.safetensors").stat().st_size <= announced


def test_least_recently_used_entries_make_room(tmp_path):
    """The entry that was not used for longest goes first; a look-up counts as use."""
    limit = 3 * entry_size(make_wide())
    for i, key in enumerate("abc"):
        stored(key, make_wide, folder=tmp_path, max_bytes=limit)
        os.utime(tmp_path / f"{key}.safetensors", (i, i))
    open_entry("a", folder=tmp_path)
    gc.collect()

    stored("d", make_wide, folder=tmp_path, max_bytes=limit)

    assert sorted(path.stem for path in tmp_path.glob("*.safetensors")) == ["a", "c", "d"]
    assert info(tmp_path).bytes <= limit


def test_entries_in_use_are_not_removed(tmp_path):
    """A table that somebody holds keeps its file, however old, and another entry goes."""
    limit = 2 * entry_size(make_wide())
    held = stored("a", make_wide, folder=tmp_path, max_bytes=limit)
    os.utime(tmp_path / "a.safetensors", (0, 0))
    stored("b", make_wide, folder=tmp_path, max_bytes=limit)
    gc.collect()

    stored("c", make_wide, folder=tmp_path, max_bytes=limit)

    assert sorted(path.stem for path in tmp_path.glob("*.safetensors")) == ["a", "c"]
    assert len(held) == 5


def test_a_run_that_needs_more_than_the_bound_is_told(tmp_path):
    """Where the tables in use leave no room, the message names sizes and cure, and they survive."""
    size = entry_size(make_table())
    held = stored("a", make_table, folder=tmp_path, max_bytes=size)

    with pytest.raises(CacheError, match=r"this run uses .*max_gigabytes"):
        stored("b", make_table, folder=tmp_path, max_bytes=size)

    assert open_entry("a", folder=tmp_path) is held


def test_an_entry_larger_than_the_bound_is_refused(tmp_path):
    """The message names both sizes and the settings to change, and what is stored stays."""
    stored("small", make_table, folder=tmp_path)
    gc.collect()

    with pytest.raises(CacheError, match=r"4\.23 MB .* bounded to 1\.00 MB.*cache\.max_gigabytes.*float16"):
        stored("k", lambda: make_table((1000,), width=1057), folder=tmp_path, max_bytes=10**6)

    assert [path.stem for path in tmp_path.glob("*.safetensors")] == ["small"]


def test_an_announced_size_is_refused_before_building(tmp_path):
    """What cannot be kept is not computed."""
    with pytest.raises(CacheError, match="does not fit"):
        stored("k", lambda: pytest.fail("built"), folder=tmp_path, max_bytes=10, size=entry_bytes([3], width=4))


def test_a_removed_entry_stays_readable_where_it_is_mapped(tmp_path):
    """On POSIX systems another process may prune what we read."""
    table = stored("k", make_table, folder=tmp_path)
    (tmp_path / "k.safetensors").unlink()

    assert np.array_equal(table.tokens, make_table().tokens)
    assert open_entry("k", folder=tmp_path) is None


def full_disk_by_system(arrays, path, metadata):
    """Half a file, then the error that Python's own writes raise."""
    Path(path).write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_disk_by_library(arrays, path, metadata):
    """Half a file, then the error that the safetensors library makes of it."""
    Path(path).write_bytes(b"half")
    raise cache.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize("save_file", [full_disk_by_system, full_disk_by_library])
def test_a_full_disk_keeps_what_was_there(tmp_path, monkeypatch, save_file):
    """Saving on a full disk says so, leaves no partial file and no harm to other entries."""
    before = stored("old", make_table, folder=tmp_path)
    monkeypatch.setattr(cache, "save_file", save_file)

    with pytest.raises(CacheError, match=r"is full; .*lingraft cache prune.*float16.*LINGRAFT_CACHE"):
        stored("new", make_table, folder=tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.lock", "old.safetensors"]
    assert np.array_equal(before.tokens, make_table().tokens)


def test_another_write_error_names_path_and_cure(tmp_path, monkeypatch):
    """A disk that refuses for another reason is named with its reason."""

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(cache, "save_file", refuse)

    with pytest.raises(CacheError, match=r"k\.safetensors: .*Read-only.*LINGRAFT_CACHE"):
        stored("k", make_table, folder=tmp_path)


def test_a_cache_folder_that_cannot_be_made_is_told(tmp_path):
    """A file where the folder should be is an error with a cure, not a traceback."""
    (tmp_path / "states").write_text("")

    with pytest.raises(CacheError, match="LINGRAFT_CACHE"):
        stored("k", make_table, folder=tmp_path / "states" / "inside")


def test_info_of_an_empty_cache(tmp_path):
    """Where nothing was stored there is nothing to tell, and no folder is made."""
    assert info(tmp_path / "nowhere") == cache.CacheInfo(0, 0, None, None)
    assert prune(tmp_path / "nowhere") == (0, 0)
    assert not (tmp_path / "nowhere").exists()


def test_info_counts_entries_bytes_and_times(tmp_path):
    """Only complete entries count; times are those of the last use."""
    for i, key in enumerate("ab"):
        stored(key, make_table, folder=tmp_path)
        os.utime(tmp_path / f"{key}.safetensors", (i, i))
    (tmp_path / ".lingraft-c-123.safetensors").write_bytes(b"half")

    found = info(tmp_path)

    assert (found.entries, found.bytes) == (2, sum(path.stat().st_size for path in tmp_path.glob("[ab].safetensors")))
    assert (found.oldest.timestamp(), found.newest.timestamp()) == (0, 1)


def test_prune_removes_down_to_the_bound(tmp_path):
    """Pruning takes the oldest first, counts what it freed, and clears leftovers of crashes."""
    for i, key in enumerate("abc"):
        stored(key, make_table, folder=tmp_path)
        os.utime(tmp_path / f"{key}.safetensors", (i, i))
    gc.collect()
    size = (tmp_path / "a.safetensors").stat().st_size
    (tmp_path / ".lingraft-c-123.safetensors").write_bytes(b"half")

    assert prune(tmp_path, max_bytes=size) == (2, 2 * size)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.safetensors", "folder.lock"]
    assert prune(tmp_path) == (1, size)
    assert info(tmp_path).entries == 0


def test_info_needs_no_torch(tmp_path):
    """The command line asks for sizes without importing torch."""
    code = "import sys; from lingraft import cache; cache.info(cache.Path(sys.argv[1])); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "False"
