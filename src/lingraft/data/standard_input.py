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
    """The lines of a stream, of which those that were looked at come first.

    Where the first one has no other end, lines end as on an old Macintosh, and come with the usual end.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.ahead: deque[bytes] = deque()
        self.old: deque[bytes] | None = None
        """Lines of an old Macintosh, the last of them not whole; None where lines have other ends."""
        self.begun = False

    def readline(self, most: int) -> bytes:
        """Return the next line, or ``most`` bytes of it; nothing at the end."""
        return self.ahead.popleft() if self.ahead else self._next(most)

    def look(self, most: int) -> bytes:
        """Return the line after those that were looked at, which is read later; nothing at the end."""
        line = self._next(most)
        if line:
            self.ahead.append(line)
        return line

    def _next(self, most: int) -> bytes:
        if self.old is not None:
            return self._next_old(self.old, most)
        line = self.stream.readline(most)
        if not self.begun and b"\r" in line and b"\n" not in line:
            self.old = deque(line.split(b"\r"))
            return self._next_old(self.old, most)
        self.begun = True
        return line

    def _next_old(self, lines: deque[bytes], most: int) -> bytes:
        while len(lines) == 1 and len(lines[0]) < most and (more := self.stream.readline(most)):
            lines.extend((lines.pop() + more).split(b"\r"))
        if len(lines) > 1:
            return lines.popleft() + b"\n"
        line, lines[0] = lines[0][:most], lines[0][most:]
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
