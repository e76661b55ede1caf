"""No file costs more than its size lets one expect."""

import gzip

import pytest

from lingraft.core.errors import DataError
from lingraft.data.bounds import ALWAYS_BYTES, RATIO, WHOLE_BYTES, read_whole
from lingraft.data.text import open_bytes, read_lines


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


def test_what_unpacks_to_more_than_text_can_is_refused(tmp_path):
    """However the bytes are asked for; what came before is not lost."""
    path = bomb(tmp_path / "a.txt.gz", 110_000)
    assert path.stat().st_size * RATIO < ALWAYS_BYTES
    read = 0
    with pytest.raises(DataError, match=rf"a\.txt\.gz: unpacks to more than {ALWAYS_BYTES:,} bytes"):
        for _ in read_lines(path):
            read += 1
    assert 95 <= read <= 100


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
