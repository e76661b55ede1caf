"""Text on its way to a terminal: as it is, without what would steer the terminal or pass for markup.

Titles, labels, paths and messages of other libraries come from people and files. Whatever is printed goes through
:class:`Terminal` or :func:`as_text`, and through nothing else.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console, ConsoleDimensions
from rich.text import Text

SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # titles, links, and the like
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # alone; line ends and tabs are fine
)
"""Control sequences of terminals, whole, and control characters."""

UNBOUNDED = 10_000
"""Characters in a line of what is no terminal."""


def printable(text: str) -> str:
    """Return text without control characters, the sequences that they begin, and halves of surrogate pairs.

    A change of direction that a line begins ends with the line, as it does where the line is a paragraph: what is
    written behind the text would be turned round as well.
    """
    plain = SEQUENCE.sub("", text).encode("utf-8", "replace").decode("utf-8")
    return "\n".join(map(_with_ends, plain.split("\n"))) if OPENING.search(plain) else plain


ISOLATES = "\u2066\u2067\u2068"
"""Begin a stretch with a direction of its own, which U+2069 ends; embeddings and overrides are ended by U+202C."""

OPENING = re.compile(f"[\u202a\u202b\u202d\u202e{ISOLATES}]")


def _with_ends(line: str) -> str:
    """Return a line with the ends of what it begins and does not end (Unicode Standard Annex 9, BD9 and X1 to X8)."""
    ends = list[str]()
    for sign in line:
        if OPENING.match(sign):
            ends.append("\u2069" if sign in ISOLATES else "\u202c")
        elif sign == "\u202c" and ends[-1:] == [sign]:
            ends.pop()
        elif sign == "\u2069" and sign in ends:  # ends what was begun within it, too
            while ends.pop() != sign:
                pass
    return line + "".join(reversed(ends))


def as_text(text: str, style: str = "") -> Text:
    """Return printable text that is shown as it is, in a style."""
    return Text(printable(text), style=style)


def spell_missing_letters(stream: object) -> None:
    """Let a stream write letters that its encoding lacks by their numbers, as standard error does.

    The consoles and pipes of Windows have code pages of 256 letters; another one would end the command.

    Args:
        stream: Standard output; what is no text file of the system is left alone.
    """
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")


@contextmanager
def naming_output(name: str = "standard output") -> Iterator[None]:
    """Name what is written to in what the system says when it refuses, as it does where that is a file's name.

    Args:
        name: Of a stream.

    Raises:
        OSError: It refused.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = name
        raise


class Terminal(Console):
    """A console on which texts are shown as they are; colours come from :func:`as_text` alone.

    A file or a pipe has no width, so nothing is cut or left out there, unless ``COLUMNS`` says how wide it is.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)
        self._width = options.get("width")  # not what COLUMNS was when the console was made

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does; lines are broken on a terminal alone, whatever standard output was at first."""
        options.setdefault("soft_wrap", self.soft_wrap or not self.is_terminal)
        try:
            with naming_output("standard error" if self.stderr else "standard output"):
                super().print(*objects, **options)
        except BaseException:
            with suppress(OSError):  # the end of a capture flushes, which is refused again
                self.begin_capture()
                self.end_capture()  # drops what could not be written, else it came out with what is printed next
            raise

    @property
    def size(self) -> ConsoleDimensions:
        """Return width and height."""
        found = super().size
        if self.is_terminal or self._width is not None or os.environ.get("COLUMNS", "").isdigit():
            return found
        return ConsoleDimensions(UNBOUNDED, found.height)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        """Set both."""
        self.width, self.height = new_size

    def render_str(self, text: str, **options: Any) -> Text:
        """Return what is shown of a text, in cells of tables too."""
        return super().render_str(printable(text), **options)
