"""What a file may hold, at most: bounds that text never meets, and that keep a hostile file out of the memory.

A file of a few megabytes may unpack to gigabytes; a line without an end, or a hundred thousand levels of brackets,
cost more than the file did. Whatever reads a file reads it through these.
"""

from __future__ import annotations

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


def refuse_bomb(stream: Bytes, path: Path) -> None:
    """Read a compressed file to its end, and keep nothing: a line that takes seven bytes in it may take 200 read.

    Args:
        stream: What comes out of it.
        path: The file itself.

    Raises:
        DataError: It is more than the file can honestly hold.
    """
    most = max(ALWAYS_BYTES, RATIO * path.stat().st_size)
    count = 0
    while chunk := stream.read(1_000_000):
        count += len(chunk)
        if count > most:
            raise DataError(
                f"{path}: unpacks to more than {most:,} bytes, over {RATIO} times its size, which text never does; if "
                "it is right all the same, give the file unpacked"
            )


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
