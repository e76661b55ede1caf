"""What goes wrong because of what the user gave us, as opposed to a bug of ours.

The command line prints these as one clear block and no traceback; every message says what was
expected, what came, where, and what to do.
"""

from __future__ import annotations

import re
import reprlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

ENDS = re.compile(r"\s*[\r\n]\s*")
"""Of lines, with the indentation of the next."""


RECIPE = "recipe"
"""What is wrong where nobody knows yet how its file is called."""


class LingraftError(Exception):
    """Base of all errors that a user can cure."""


class ConfigError(LingraftError):
    """A recipe is wrong; carries *every* problem, so that one round of editing is enough."""

    def __init__(self, problems: Sequence[str], where: str = RECIPE) -> None:
        self.where = where
        self.problems = [one_line(ENDS.sub(" ", problem)) for problem in problems]
        heading = f"{where}: {len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        super().__init__("\n".join([heading, *(f"  - {problem}" for problem in self.problems)]))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[str], str]]:
        """Say what makes it again in another process."""
        return type(self), (self.problems, self.where)


@contextmanager
def problems_in(where: str) -> Iterator[None]:
    """Name the file of a recipe in what is said to be wrong with it while it is carried out.

    Args:
        where: The file.

    Raises:
        ConfigError: Something is wrong.
    """
    try:
        yield
    except ConfigError as error:
        raise ConfigError(error.problems, error.where if error.where != RECIPE else where) from error


class DataError(LingraftError):
    """A data file does not say what its field map promises; names file, line or key.

    What it says is one line of bounded length, whatever the file put into it: names of columns, tags, words of parsers.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class MissingFileError(DataError):
    """A data file is not there."""


class Faults:
    """Collects the errors of several things that are tried, each in a ``with`` block, so that all are said at once.

    Args:
        where: What they are of: the heading of several.
    """

    def __init__(self, where: str = RECIPE) -> None:
        self.where = where
        self.found: list[LingraftError] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Keep an error that a user can cure; all others are raised."""
        if isinstance(error, LingraftError):
            self.found.append(error)
        return isinstance(error, LingraftError)

    @property
    def problems(self) -> list[str]:
        """Return all that was wrong, each once."""
        return list(dict.fromkeys(problem for error in self.found for problem in problems_of(error)))

    @property
    def error(self) -> LingraftError:
        """Return what was found: one error as it was, several as one."""
        return self.found[0] if len(self.problems) == 1 else ConfigError(self.problems, self.where)

    def refuse(self) -> None:
        """Raise what was found, where something was.

        Raises:
            LingraftError: It was.
        """
        if self.found:
            raise self.error


def problems_of(error: LingraftError) -> list[str]:
    """Return what an error says, a line for each problem."""
    return error.problems if isinstance(error, ConfigError) else [str(error)]


class CacheError(LingraftError):
    """The state cache cannot hold, or can no longer give back, what was stored."""


class CheckpointError(LingraftError):
    """A checkpoint or saved adaptation cannot be used as asked."""


class RunError(LingraftError):
    """A run folder is in use, unfinished, or belongs to another recipe."""


class ServiceError(LingraftError):
    """A command or an address that a recipe names is absent, or did not answer as it should."""


class WriteError(LingraftError):
    """A file could not be written; what was there before is untouched."""


NO_LINE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff]")
"""Ends of lines, control characters, halves of surrogate pairs."""


def one_line(text: str, most: int = 1500) -> str:
    """Return a text on one line: what would end it, or steer a terminal, is written as Python writes it.

    Args:
        text: Anything.
        most: Characters, beyond which the middle is left out.
    """
    text = text.rstrip()
    if len(text) > most:
        text = f"{text[: most - 300]} … {text[-280:]}"
    return NO_LINE.sub(lambda found: ascii(found[0])[1:-1], text)


def shown(value: Any, most: int = 80) -> str:
    """Return a value as Python writes it, on one line of at most so many characters, whatever it is.

    Args:
        value: What came, often not what was expected.
        most: Characters, beyond which the middle is left out.
    """
    text = _Brief(most).repr(value)
    return text if len(text) <= most else f"{text[: most - 15]} … {text[-10:]}"


class _Brief(reprlib.Repr):
    """Writes little of what is large or deep, before it is written as a whole."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxlist, self.maxtuple = 3, 5, 8, 8
        self.maxstring = self.maxother = self.maxlong = most
        self.fillvalue = "…"

    def repr_int(self, x: int, level: int) -> str:
        """Write a number, unless it has more digits than Python writes."""
        if x.bit_length() > 8 * sys.int_info.str_digits_check_threshold:
            return "a number of more than a thousand digits"
        return super().repr_int(x, level)
