"""Where lingraft keeps what it computed, and how it writes there.

Two promises to every file of ours: a reader finds the old content or the new one, never half of
it; and two processes that want to make the same thing wait for each other. Whoever must know of every write, or
may refuse one, is told by :func:`watch_writes`.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import platformdirs
from filelock import BaseFileLock, FileLock, Timeout
from pydantic import TypeAdapter

from .errors import RunError, WriteError
from .json_text import to_json
from .outside import OBJECT_BYTES, kind_of_file, open_regular, parse_object, read_bytes
from .written_recipe import run_again

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds before a waiting process says what it waits for

WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between tries to replace a file that another process has open, where that is refused."""

TEMPORARY = ".lingraft-"
"""What the name of a file begins with while it is being written."""

OF_SAFETENSORS = ".tmp??????"
"""What safetensors calls a file while it writes it, in the same folder; it is then renamed to the name that we gave."""


LEFTOVER = re.compile(rf"{re.escape(TEMPORARY)}.+-[a-z0-9_]{{8}}(\.\w+)?|\.tmp[A-Za-z0-9]{{6}}")
"""Names that :func:`temporary_file` and safetensors give, and people hardly."""


def is_leftover(path: Path) -> bool:
    """Return whether a file is being written, or was when its process was killed; no other is ours to remove."""
    return LEFTOVER.fullmatch(path.name) is not None


def leftovers(folder: Path) -> Iterator[Path]:
    """Yield such files directly in a folder."""
    for pattern in (f"{TEMPORARY}*", OF_SAFETENSORS):
        yield from folder.glob(pattern)


def cache_root() -> Path:
    """Return the folder of everything that can be computed again: ``LINGRAFT_CACHE`` or the user's cache directory."""
    chosen = os.environ.get("LINGRAFT_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("lingraft"))


Stage = Literal["create", "flush", "rename", "done"]
"""What comes next for a file: its temporary file is made, flushed to the disk once it is filled, put in its place; or
nothing, for it is there."""

Watch = Callable[[Stage, Path, Path | None], None]
"""Told the stage, the file, and its temporary file if there is one; what it raises ends the write."""

_watching: list[Watch] = []


@contextmanager
def watch_writes(watch: Watch) -> Iterator[None]:
    """Tell ``watch`` of every stage of every file that this process writes meanwhile; it may refuse by an exception.

    Of a folder that is published as a whole it is told the renaming.
    """
    _watching.append(watch)
    try:
        yield
    finally:
        _watching.remove(watch)


def announce(stage: Stage, path: Path, temporary: Path | None = None) -> None:
    """Tell those who watch what is about to happen to ``path``."""
    for watch in tuple(_watching):
        watch(stage, path, temporary)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file, then put it in the place of ``path``.

    Whatever goes wrong on the way (a full disk, an interrupt), the temporary file is removed and
    ``path`` is what it was before.

    Args:
        path: The file to create or replace; its folder is created where it is missing.
        write: Receives the temporary path, in the same folder and with the same suffix, and writes it.

    Raises:
        WriteError: The system refused; with its reason, and what to do.
    """
    try:
        with temporary_file(path) as temporary:
            write(temporary)
            publish_file(temporary, path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise WriteError(
            f"could not write {path}: {reason}; what was there before is untouched, and finished work is safe. "
            f"{CURES.get(error.errno or 0, 'Mend that')} and run the same command again: it continues where it stopped"
        ) from None


CURES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "Free some space"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Make the folder writable"),
    errno.EIO: "Check the disk",
}
"""What to do about why the system refused to write."""


@contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """Make an empty file beside ``path``, to be filled and published; afterwards nothing is left under its name."""
    announce("create", path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{TEMPORARY}{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        with suppress(OSError):  # a folder that went away, or no longer lets us; what is left is swept
            temporary.unlink(missing_ok=True)


def publish_file(temporary: Path, path: Path, *, flush: bool = True) -> None:
    """Put a file that is written in the place of ``path``, as readable as the umask allows.

    Without ``flush`` a power cut may leave half of it there: for files that carry a checksum.
    """
    announce("flush", path, temporary)
    temporary.chmod(_usual_mode())  # mkstemp's 0600 would shut out the colleagues of a shared cache
    if flush:
        _flush(temporary)
    announce("rename", path, temporary)
    put_in_place(temporary, path)
    announce("done", path)


def put_in_place(
    temporary: Path,
    path: Path,
    *,
    replace: Callable[[Path, Path], object] = os.replace,
    waits: Iterable[float] = WAITS if os.name == "nt" else (),
) -> None:
    """Rename a file to ``path``, and try again where Windows refuses while another process has that open.

    Virus scanners and indexers open what was just written, for a moment.

    Args:
        temporary: The file.
        path: Its name from now on.
        replace: Renames it.
        waits: Seconds before each further try.

    Raises:
        OSError: It is refused to the end, or for another reason.
    """
    for seconds in waits:
        try:
            replace(temporary, path)
            return
        except PermissionError:
            time.sleep(seconds)
    replace(temporary, path)


def publish_folder(temporary: Path, folder: Path) -> None:
    """Put a folder that is written in the place of ``folder``, it and its files as readable as the umask allows."""
    mode = _usual_mode()
    for path in temporary.iterdir():
        path.chmod(mode)  # libraries that write to a temporary file of their own leave 0600
    temporary.chmod(mode | (mode & 0o444) >> 2)  # who may read a folder may enter it
    if folder.exists():
        shutil.rmtree(folder)
    announce("rename", folder, temporary)
    put_in_place(temporary, folder)


@contextmanager
def locked(path: Path, *, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock file ``path``; another process that wants it waits until we are done.

    The lock dies with its process, so a crash leaves nothing to clean up but an empty file. A wait of more than
    ``patience`` seconds is logged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock(path)
    try:
        held = lock.acquire(timeout=patience)
    except Timeout:
        log.warning("waiting for another process that holds %s", path)
        held = lock.acquire()
    with held:
        yield


@contextmanager
def locked_or_refused(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, or raise ``BlockingIOError`` at once if another process has it."""
    try:
        held = _lock(path).acquire(blocking=False)
    except Timeout as error:
        raise BlockingIOError(str(error)) from None
    with held:
        yield


def _lock(path: Path) -> BaseFileLock:
    """Make a lock of a file that whoever the umask allows may lock.

    Raises:
        RunError: Something else than a regular file has its name, which could not be locked, or never be opened.
    """
    if os.path.lexists(path) and not stat.S_ISREG(mode := path.lstat().st_mode):
        raise RunError(f"{path}: expected a regular file to lock, found {kind_of_file(mode)}; remove it")
    return FileLock(path, mode=_usual_mode())


def _flush(path: Path) -> None:
    """Force the content to the disk, so that a rename never outlives it."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _usual_mode() -> int:
    """Return the mode of a file that is made without asking for one."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write ``text`` atomically."""
    write_atomically(path, lambda temporary: _write(temporary, text))


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` atomically."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, write)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write one JSON object, atomically."""
    write_text(path, to_json(value, indent=1) + "\n")


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object per line, atomically."""
    write_text(path, "".join(to_json(row) + "\n" for row in rows))


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))  # a line ends alike on all systems, and so has the same digest


Row = dict[str, Any]


def read_object(path: Path, schema: TypeAdapter[Any] | None = None, *, cure: str = "") -> Row:
    """Return a JSON object that fits a schema; empty where the file is missing.

    Args:
        path: The file.
        schema: What the object must be; without one, any.
        cure: What to do about a file that is refused; by default, to run again what wrote it.

    Raises:
        RunError: It is something else than that.
    """
    cure = cure or run_again(path)
    try:
        text = read_bytes(path, cure=cure)
    except FileNotFoundError:
        return {}
    return parse_object(text, str(path), schema, cure=cure)


def read_lines(path: Path, schema: TypeAdapter[Any] | None = None, *, cure: str = "") -> Iterator[Row]:
    """Yield the objects of a JSONL file that fit a schema, one by one; none where the file is missing.

    Arguments and errors are those of :func:`read_object`; what is refused is a line.
    """
    cure = cure or run_again(path)
    try:
        file = open_regular(path, cure=cure)
    except FileNotFoundError:
        return
    with file as lines:
        number = 0
        while line := lines.readline(OBJECT_BYTES + 1):
            number += 1
            if len(line) > OBJECT_BYTES:
                raise RunError(f"{path}:{number}: a line has more than {OBJECT_BYTES:,} bytes; {cure}")
            if line.strip():
                yield parse_object(line, f"{path}:{number}", schema, cure=cure)
