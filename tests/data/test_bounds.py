"""No file costs more than its size lets one expect."""

import gzip
import tracemalloc
from contextlib import contextmanager

import pytest

from lingraft.core.errors import DataError
from lingraft.data.bounds import ALWAYS_BYTES, RATIO, WHOLE_BYTES, read_whole
from lingraft.data.parallel import read_parallel
from lingraft.data.text import open_bytes, read_lines
from lingraft.data.unlabelled import read_texts


class Endless:
    """Bytes without an end, and how many were asked for."""

    def __init__(self):
        self.given = 0

    def read(self, size, /):
        """As many as are asked for."""
        self.given += size
        return bytes(size)


def bomb(path, count):
    """A small file of so many equal lines of a thousand bytes."""
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(count // 1000):
            file.write(b"x" * 999_999 + b"\n")
        file.write(b"end\n" * (count % 1000))
    return path


@contextmanager
def measured():
    """A function that tells how many bytes were in use at most since here."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield lambda: tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_what_unpacks_to_more_than_text_can_is_refused(tmp_path):
    """Before a line of it is read."""
    path = bomb(tmp_path / "a.txt.gz", 110_000)
    assert path.stat().st_size * RATIO < ALWAYS_BYTES
    read = []
    with pytest.raises(DataError, match=rf"a\.txt\.gz: unpacks to more than {ALWAYS_BYTES:,} bytes"):
        read.extend(read_lines(path))
    assert read == []


def test_a_regular_file_of_another_format_is_refused_alike(tmp_path):
    """Whatever is behind the compression, as little of it is kept as of text."""
    path = bomb(tmp_path / "a.mo.gz", 110_000)
    with measured() as peak:
        with pytest.raises(DataError, match="unpacks to more than"):
            read_parallel(path, source_language="en", target_language="sw")
        assert peak() < 20_000_000


@pytest.mark.parametrize("name", ["a.txt", "a.tsv", "a.csv", "a.jsonl"])
def test_a_pair_that_is_repeated_takes_memory_once(tmp_path, name):
    """Of twenty thousand equal lines one is kept, and the others are counted."""
    head, line = {
        "a.txt": ("", "cat paka\n"),
        "a.tsv": ("", "cat\tpaka\n"),
        "a.csv": ("en,sw\n", "cat,paka\n"),
        "a.jsonl": ("", '{"en": "cat", "sw": "paka"}\n'),
    }[name]
    path = tmp_path / name
    path.write_text(head + line * 20_000)
    read_parallel(path, source_language="en", target_language="sw")  # what is imported by the first takes memory, too
    with measured() as peak:
        found = read_parallel(path, source_language="en", target_language="sw")
        assert peak() < 1_000_000
    assert (found.kind, found.read, len(found.pairs), found.duplicates) == ("lexicon", 20_000, 1, 19_999)


def test_a_text_that_is_repeated_takes_memory_once(tmp_path):
    """Unlabelled texts are read once each, in their order."""
    path = tmp_path / "a.txt"
    path.write_text("paka analala\n" * 20_000 + "mbwa\n")
    with measured() as peak:
        assert read_texts(path) == ["paka analala", "mbwa"]
        assert peak() < 1_000_000


def test_a_small_file_may_be_as_regular_as_it_likes(tmp_path):
    """Below the size that is always allowed nothing is asked."""
    path = bomb(tmp_path / "a.txt.gz", 2_002)
    assert [line for _, line in read_lines(path)][2:] == ["end", "end"]


def test_no_more_is_read_as_a_whole_than_fits(tmp_path):
    """A file without an end is left after the bound."""
    endless = Endless()
    with pytest.raises(DataError, match=f"is longer than {WHOLE_BYTES:,} bytes"):
        read_whole(endless, tmp_path / "a.json")
    assert endless.given <= WHOLE_BYTES + 1_000_000


def test_a_file_within_the_bounds_is_read_whole(tmp_path):
    """To the last byte."""
    path = tmp_path / "a.json"
    path.write_bytes(b"{}" * 700_000)
    with open_bytes(path) as stream:
        assert read_whole(stream, path) == b"{}" * 700_000
