"""One file of the state cache: what names it, what it holds, and that damage is noticed."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from lingraft.backbones.shards import (
    DamagedError,
    discard_shard,
    is_in_use,
    open_shard,
    read_digests,
    shard_bytes,
    states_bytes,
    text_digest,
    write_shard,
)
from lingraft.core.errors import CacheError
from lingraft.core.stored_states import list_shards
from posix_only import make_pipe
from stored_states import make_table, names, write

TEXTS = st.lists(st.integers(0, 2**40), max_size=6)

# ---- Names of texts --------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.sets(TEXTS.map(tuple), max_size=30))
def test_distinct_texts_have_distinct_digests(texts):
    """No two sequences of token ids share one, however much alike they are."""
    assert len({text_digest(ids) for ids in texts}) == len(texts)


@settings(deadline=None)
@given(TEXTS, st.integers(0, 6))
def test_every_token_and_its_place_count(ids, place):
    """A token more, a zero at the end among them, is another text; a tuple and a list are the same."""
    assert text_digest(tuple(ids)) == text_digest(list(ids))
    assert text_digest([*ids[:place], 0, *ids[place:]]) != text_digest(ids)


def test_a_digest_stays():
    """It does not depend on the process or the version, so that a later run finds the text."""
    assert text_digest((0, 17, 250_001, 2)).hex() == "df0ae8aa8475dd1b283dcc6a3eaed3f9"


# ---- What is written is what is read ---------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("lengths", [(3, 1, 4, 0, 2), (1,), (0,), (0, 0)])
def test_round_trip_keeps_every_value(tmp_path, lengths, dtype):
    """What comes back from the disk is what was written, bit by bit, mapped and read-only."""
    table, digests = make_table(lengths, dtype=dtype), names(len(lengths))
    path = write(tmp_path, table, digests)

    mapped = open_shard(path, layer=2)

    assert mapped.tokens.dtype == dtype
    for name in ("tokens", "offsets", "pooled"):
        assert np.array_equal(getattr(mapped, name), getattr(table, name))
        assert not getattr(mapped, name).flags.writeable
    assert mapped.layer == 2
    assert read_digests(path) == digests


def test_a_written_shard_is_mapped_at_once(tmp_path):
    """What was written and what is opened afterwards are one table; the one that was computed may go."""
    table = make_table()
    mapped = write_shard(tmp_path, table, names(5))
    (shard,) = list_shards(tmp_path)

    assert mapped is not table
    assert open_shard(shard.path, layer=2) is mapped
    assert is_in_use(shard)
    del mapped
    assert not is_in_use(shard)


def test_a_shard_is_an_ordinary_safetensors_file(tmp_path):
    """The safetensors library reads it without us."""
    table = make_table()
    arrays = load_file(write(tmp_path, table, names(5)))

    assert set(arrays) == {"digests", "tokens", "offsets", "pooled"}
    assert np.array_equal(arrays["tokens"], table.tokens)
    assert arrays["digests"].tobytes() == b"".join(names(5))


def test_the_same_states_have_the_same_name(tmp_path):
    """So a shard that was dropped and computed again is the file that it was."""
    assert write(tmp_path / "a", make_table(), names(5)).name == write(tmp_path / "b", make_table(), names(5)).name
    assert (
        write(tmp_path / "a", make_table(seed=1), names(5)).name
        != write(tmp_path / "b", make_table(), names(5, 1)).name
    )


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("lengths", [[3, 1, 4, 0, 2], [40] * 30])
def test_the_announced_size_is_that_of_the_file(tmp_path, lengths, dtype):
    """At most a header larger."""
    table = make_table(lengths, dtype=dtype)
    announced = states_bytes(lengths, width=5, dtype=dtype)

    assert announced == shard_bytes(table)
    assert announced - 1032 < write(tmp_path, table, names(len(lengths))).stat().st_size <= announced


def test_a_shard_is_as_readable_as_any_other_file(tmp_path):
    """A shared cache is readable by whom the umask allows."""
    (tmp_path / "usual").write_text("")

    assert write(tmp_path, make_table(), names(5)).stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_opening_counts_as_use(tmp_path):
    """The time of a shard's last use is that of its file."""
    path = write(tmp_path, make_table(), names(5))
    os.utime(path, (0, 0))
    open_shard(path, layer=2)

    assert [shard.used > 0 for shard in list_shards(tmp_path)] == [True]


# ---- Damage ----------------------------------------------------------------------------------------


def is_noticed(path):
    """Whether a shard is refused, on looking up or on opening."""
    try:
        read_digests(path)
        open_shard(path, layer=2)
    except DamagedError:
        return True
    return False


def test_any_flipped_bit_is_noticed(tmp_path):
    """Wherever one bit of a shard changes, be it in the header, the digests or the states."""
    path = write(tmp_path, make_table((1, 2), width=1), names(2))
    content = path.read_bytes()
    unnoticed = []
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        if not is_noticed(path):
            unnoticed.append(bit)

    assert unnoticed == []
    path.write_bytes(content)
    assert not is_noticed(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: b"not safetensors",
        lambda content: content + b"\0",
        lambda content: b"\xff" * 8 + content[8:],
    ],
    ids=["half", "one byte short", "empty", "other format", "one byte long", "huge header"],
)
def test_another_length_is_noticed(tmp_path, damage):
    """A file that was cut, or is another one altogether."""
    path = write(tmp_path, make_table(), names(5))
    path.write_bytes(damage(path.read_bytes()))

    assert is_noticed(path)


def test_which_texts_there_are_is_known_without_reading_a_state(tmp_path):
    """With all states overwritten a shard still says which texts it holds; only then is it refused."""
    path = write(tmp_path, make_table(), names(5))
    content = path.read_bytes()
    states = make_table().tokens.tobytes()
    path.write_bytes(content.replace(states, bytes(len(states))))

    assert read_digests(path) == names(5)
    with pytest.raises(DamagedError, match="checksum differs"):
        open_shard(path, layer=2)


def test_a_removed_shard_stays_readable_where_it_is_mapped(tmp_path):
    """On POSIX systems another process may prune what we read."""
    path = write(tmp_path, make_table(), names(5))
    table = open_shard(path, layer=2)
    path.unlink()

    assert np.array_equal(table.tokens, make_table().tokens)
    for read in (read_digests, lambda path: open_shard(path, layer=2)):
        with pytest.raises(FileNotFoundError):
            read(path)


def test_a_rebuilt_shard_is_not_taken_for_the_damaged_one(tmp_path):
    """Another process may have put a good one in its place, under the same name, since it was looked at."""
    path = write(tmp_path, make_table(), names(5))
    (damaged,) = list_shards(tmp_path)
    good = tmp_path / "good"
    good.write_bytes(path.read_bytes())
    good.replace(path)

    discard_shard(damaged)
    kept = path.exists()
    discard_shard(*list_shards(tmp_path))

    assert (kept, path.exists()) == (True, False)


# ---- Regular files only ----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [make_pipe, lambda path: path.symlink_to("elsewhere"), os.mkdir])
def test_what_is_no_regular_file_is_refused(tmp_path, make):
    """In one line, and before anything is opened: a FIFO would wait for ever."""
    path = tmp_path / f"{'0' * 32}-{'0' * 8}.safetensors"
    make(path)

    with pytest.raises(CacheError, match=rf"^{path} is no regular file.*remove it$"):
        list(list_shards(tmp_path))


def test_other_names_are_not_ours(tmp_path):
    """Locks, half-written files and whatever else lies about are no shards; no folder has none."""
    for name in (".lingraft-shard-1.safetensors", "space.lock", "model.safetensors", f"{'0' * 32}-{'0' * 8}.txt"):
        (tmp_path / name).write_bytes(b"")

    assert list(list_shards(tmp_path)) == []
    assert list(list_shards(tmp_path / "nowhere")) == []
