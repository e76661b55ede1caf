"""The door for folders that others may have written: regular files only, bounded, checked once against a schema.

A run folder, a saved adaptation, a checkpoint may come from anywhere. What passes here may be trusted afterwards;
what does not pass is refused in one line that says which file, where in it, what was expected and what came.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from .errors import LingraftError, RunError
from .wrong_values import say_wrong

OBJECT_BYTES = 1 << 24
"""Of one JSON text, a file or a line: in memory it takes up to thirty times as much."""

FILE_BYTES = 1 << 30
"""Of a file that is read line by line, or whose tensors are read."""

MOST_FILES = 100_000
"""Of a run folder."""

T = TypeVar("T")


def open_regular(
    path: Path, *, most: int = FILE_BYTES, error: type[LingraftError] = RunError, cure: str = "copy the folder again"
) -> BinaryIO:
    """Open a file to be read, if it is a regular one; a pipe, a device or a folder is refused, and nothing waits.

    Args:
        path: The file, or a link to one.
        most: Bytes that it may have.
        error: What is raised.
        cure: What to do about a file that is refused.

    Raises:
        FileNotFoundError: There is none.
        LingraftError: It is no regular file, cannot be opened, or is too large.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as problem:
        if problem.errno in (errno.ENOENT, errno.ENOTDIR):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
        if problem.errno in (errno.EACCES, errno.EPERM):
            cure = "give yourself the right to read it"
        raise error(f"{path} cannot be read ({problem.strerror}); {cure}") from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_size > most:
        os.close(handle)
        if stat.S_ISREG(status.st_mode):
            raise error(f"{path} has {status.st_size:,} bytes, and at most {most:,} are read; {cure}")
        raise error(f"{path}: expected a regular file, found {kind_of_file(status.st_mode)}; remove it, and {cure}")
    return os.fdopen(handle, "rb")


def read_bytes(
    path: Path, *, most: int = OBJECT_BYTES, error: type[LingraftError] = RunError, cure: str = "copy the folder again"
) -> bytes:
    """Return the content of a file; arguments and errors as for :func:`open_regular`."""
    with open_regular(path, most=most, error=error, cure=cure) as file:
        return file.read(most + 1)


def parse_object(
    text: bytes | str,
    where: str,
    schema: TypeAdapter[Any] | None = None,
    *,
    error: type[LingraftError] = RunError,
    cure: str = "run the recipe again",
) -> dict[str, Any]:
    """Return the JSON object that a text is, as it is written there, once it fits a schema.

    Args:
        text: The JSON.
        where: It comes from, for the message.
        schema: What it must be; without one, any object.
        error: What is raised.
        cure: What to do about a text that is refused.

    Raises:
        LingraftError: It is no JSON, no object, nested too deeply, or does not fit.
    """
    try:
        row = pydantic_core.from_json(text, cache_strings="keys")
    except ValueError as problem:
        raise error(f"{where}: expected JSON, but {problem}; {cure}") from None
    if not isinstance(row, dict):
        raise error(f"{where}: expected a JSON object, found {type(row).__name__}; {cure}")
    if schema is not None:
        validate(schema, row, where, error=error, cure=cure)
    return row


def validate(
    schema: TypeAdapter[T], values: object, where: str, *, error: type[LingraftError] = RunError, cure: str
) -> T:
    """Return what a schema makes of plain data; arguments and errors as for :func:`parse_object`."""
    try:
        return schema.validate_python(values)
    except ValidationError as problem:
        raise error(f"{where}: {describe_first(problem)}; {cure}") from None


def describe_first(problem: ValidationError) -> str:
    """Say in one line what the first fault is, where in the file, and how many more there are."""
    first, number = problem.errors(include_url=False)[0], problem.error_count()
    place = ".".join(_shortened(str(part)) for part in first["loc"])
    found = "" if first["type"] in ("missing", "value_error") else f", found {_shortened(repr(first['input']))}"
    more = f" ({number - 1} more such faults)" if number > 1 else ""
    message = f"{say_wrong(first)}{found}{more}"
    return f"{place}: {message}" if place else message


def _shortened(text: str, most: int = 60) -> str:
    """Return a text in one printable line of bounded length."""
    line = text[: 4 * most].encode("unicode_escape").decode() if not text.isprintable() else text
    return line if len(line) <= most else f"{line[:most]}…"


def refuse_links(folder: Path, *, error: type[LingraftError] = RunError) -> None:
    """Refuse a folder of ours in which something is neither a folder nor a regular file.

    A link would let a folder from outside name any file of this machine, to be read or to be written over.

    Raises:
        LingraftError: There is such a thing, or there are too many files to look at.
    """
    for number, entry in enumerate(_walk(folder)):
        if number > MOST_FILES:
            raise error(f"{folder} holds more than {MOST_FILES:,} files, and is not what lingraft wrote")
        if entry.is_symlink():
            raise error(
                f"{entry.path} is a link, and links in a run folder are not followed; put there what it points to, or "
                "remove it"
            )
        if not (entry.is_file() or entry.is_dir()):
            mode = entry.stat(follow_symlinks=False).st_mode
            raise error(f"{entry.path}: expected a file or a folder, found {kind_of_file(mode)}; remove it")


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield everything in a folder and in the folders within, following no link."""
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except (FileNotFoundError, NotADirectoryError):  # gone meanwhile, or never there
            continue


def kind_of_file(mode: int) -> str:
    """Say what kind of thing the mode of a file is of."""
    kinds = {
        stat.S_ISDIR: "a folder",
        stat.S_ISLNK: "a link",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
    }
    return next((name for test, name in kinds.items() if test(mode)), "something else")
