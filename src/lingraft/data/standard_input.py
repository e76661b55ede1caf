"""Standard input, read like a file that is called by that name; its first lines may be looked at before."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import BinaryIO

from ..core.errors import DataError

STANDARD_INPUT = Path("standard input")
"""Stands for it wherever a file is read; messages say its name. A file of that name is another ``Path``."""


class LinesAhead:
    """The lines of a stream, of which those that were looked at come first."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.ahead: deque[bytes] = deque()

    def readline(self, most: int = -1) -> bytes:
        """Return the next line, or ``most`` bytes of it; nothing at the end."""
        return self.ahead.popleft() if self.ahead else self.stream.readline(most)

    def look(self, most: int) -> bytes:
        """Return the line after those that were looked at, which is read later; nothing at the end."""
        line = self.stream.readline(most)
        if line:
            self.ahead.append(line)
        return line


_opened: list[LinesAhead] = []


def standard_input() -> LinesAhead:
    """Return what is left of standard input, with the lines that were looked at.

    Raises:
        DataError: It is closed.
    """
    if sys.stdin is None:
        raise DataError(f"{STANDARD_INPUT}: is closed; give a file, or texts to read")
    if not _opened or _opened[0].stream is not sys.stdin.buffer:
        _opened[:] = [LinesAhead(sys.stdin.buffer)]
    return _opened[0]
