"""What a file may hold, at most: bounds that text never meets, and that keep a hostile file out of the memory.

A file of a few megabytes may unpack to gigabytes; a line without an end, or a hundred thousand levels of brackets,
cost more than the file did. Whatever reads a file reads it through these.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Protocol

from ..core.errors import DataError

LINE_BYTES = 1_000_000
"""Of one line, cell, tag or text: longer ones are no texts."""

COLUMNS = 10_000
"""Of a table; the widest in use, of measurements, have hundreds."""

RATIO, ALWAYS_BYTES = 40, 100_000_000
"""A compressed file may unpack to so many times its size (text in any script shrinks to a tenth at the least), and
to so many bytes in any case."""

WHOLE_BYTES = 500_000_000
"""Of a file that is read as a whole, such as JSON: Python needs several times as much for what is in it."""


class Bytes(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        ...


class Unpacked(io.RawIOBase):
    """The bytes that come out of a compressed file, until they are more than the file can honestly hold."""

    def __init__(self, stream: Bytes, path: Path) -> None:
        super().__init__()
        self.stream, self.path, self.count = stream, path, 0
        self.most = max(ALWAYS_BYTES, RATIO * path.stat().st_size)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer.

        Raises:
            DataError: Too much has come out.
        """
        found = self.stream.read(len(buffer))
        self.count += len(found)
        if self.count > self.most:
            raise DataError(
                f"{self.path}: unpacks to more than {self.most:,} bytes, over {RATIO} times its size, which text never "
                "does; if it is right all the same, give the file unpacked"
            )
        buffer[: len(found)] = found
        return len(found)


def read_whole(stream: Bytes, path: Path) -> bytes:
    """Return all bytes of a file.

    Raises:
        DataError: They are more than ``WHOLE_BYTES``.
    """
    content = bytearray()
    while chunk := stream.read(1_000_000):
        content += chunk
        if len(content) > WHOLE_BYTES:
            raise DataError(
                f"{path}: is longer than {WHOLE_BYTES:,} bytes, too much to be read as a whole; split it, or give "
                "lines (.jsonl, .csv, .tsv), which are read one by one"
            )
    return bytes(content)
