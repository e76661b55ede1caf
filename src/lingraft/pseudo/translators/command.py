"""Translation by a command of the user's: a text a line goes in, a translation a line comes out."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Annotated, Any

from pydantic import Field

from ...core.counted import counted
from ...core.errors import ServiceError, one_line, shown
from . import Translator, translators

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Program = Annotated[list[str], Field(min_length=1)]
"""Its name and its arguments."""

MOST_BYTES = 1 << 26
"""That it may write for the texts that are translated at once, which have a thousandth of them."""

LOOK = 0.2
"""Seconds between two looks at how much it has written."""


@translators.register("command")
def command(*, command: Program, timeout: Seconds = 600) -> Translator:
    """Your own command, without a shell: lines in, as many lines out.

    Args:
        command: Program and arguments; `{source}` and `{target}` in them become the languages.
        timeout: Seconds that it may take for 64 texts.
    """

    def filled(source: str, target: str) -> list[str]:
        return [part.replace("{source}", source).replace("{target}", target) for part in command]

    def translate(texts: Sequence[str], source: str, target: str) -> list[str]:
        out = filter_text(filled(source, target), "".join(f"{text}\n" for text in texts), timeout)
        return as_many(out.removesuffix("\n").split("\n"), texts, command[0])

    def identity(source: str, target: str) -> Mapping[str, Any]:
        return {"translator": "command", "command": filled(source, target)}

    def refuse_absent(source: str, target: str) -> None:
        program = filled(source, target)[0]
        if shutil.which(program) is None:
            raise absent(program)

    return Translator(translate, identity, refuse_absent)


def absent(program: str) -> ServiceError:
    """Return the error of a program that is not installed."""
    return ServiceError(f"{program}: no such command; install it, or give its whole path")


def filter_text(command: Sequence[str], text: str, timeout: float) -> str:
    """Return what a command writes when it reads a text.

    Args:
        command: Program and arguments.
        text: What it reads from standard input.
        timeout: Seconds that it may take.

    Raises:
        ServiceError: It is not installed, takes too long, fails, or writes without end or no UTF-8.
    """
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as complaints:
        given.write(text.encode())
        given.seek(0)
        try:
            with subprocess.Popen(
                list(command), stdin=given, stdout=out, stderr=complaints, start_new_session=True
            ) as process:
                _wait(process, (out, complaints), command[0], timeout)
        except FileNotFoundError:
            raise absent(command[0]) from None
        except OSError as error:
            raise ServiceError(f"{command[0]} cannot be started: {error.strerror or error}") from None
        written, said = _read(out), _read(complaints).decode(errors="replace").strip().splitlines()
    if process.returncode:
        raise ServiceError(
            f"{one_line(' '.join(command), 200)} ended with status {process.returncode}: "
            f"{one_line(said[-1], 300) if said else 'it said nothing'}"
        )
    try:
        return written.decode()
    except UnicodeDecodeError as error:
        raise ServiceError(
            f"{command[0]} wrote something that is not UTF-8 (byte {error.start + 1}); make it write UTF-8"
        ) from None


def _wait(process: subprocess.Popen[bytes], written: Sequence[IO[bytes]], name: str, timeout: float) -> None:
    """Wait for a command to end, and end it where it does not.

    Raises:
        ServiceError: It took too long, or wrote without end.
    """
    end = time.monotonic() + timeout
    try:
        while process.poll() is None:
            _refuse_endless(written, name)
            if (left := end - time.monotonic()) <= 0:
                raise ServiceError(
                    f"{name} had not finished after {timeout:g} seconds; what was translated before is kept, so give "
                    "it more time (`timeout`) and run the same command again"
                )
            with suppress(subprocess.TimeoutExpired):
                process.wait(min(left, LOOK))
        _refuse_endless(written, name)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and all that it has started, which would go on writing where nobody reads."""
    process.kill()  # nothing, where it has ended
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):  # none is left of its session
            os.killpg(process.pid, signal.SIGKILL)


def _refuse_endless(written: Sequence[IO[bytes]], name: str) -> None:
    if any(os.fstat(file.fileno()).st_size > MOST_BYTES for file in written):
        raise ServiceError(f"{name} wrote more than {MOST_BYTES >> 20} MB; it must write a line for each that it reads")


def _read(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def as_many(translations: list[str], texts: Sequence[str], name: str) -> list[str]:
    """Return the translations, if there is one for each text.

    Raises:
        ServiceError: There is not.
    """
    if len(translations) == len(texts):
        return translations
    raise ServiceError(
        f"{name} answered {counted(len(texts), 'text')} with {counted(len(translations), 'line')}, the first of them "
        f"{shown(translations[0])}; it must write exactly one line for each that it reads"
    )
