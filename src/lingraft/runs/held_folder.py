"""A run folder while its run works: what goes away, or is changed by somebody else, ends the run in one line.

Nothing is made again in the place of a folder that was deleted, nothing is written into another run's, and no run is
called finished of which a file is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from ..core.errors import RunError
from ..core.files import Stage, watch_writes
from ..training.finished import STATE


@contextmanager
def held_folder(folder: Path, *, proofs: tuple[Path, ...], kept: tuple[Path, ...], last: Path) -> Iterator[None]:
    """Watch the folder of a run for as long as the run works in it.

    Args:
        folder: Of a run or a comparison.
        proofs: Files in it that stay the same ones meanwhile: its mark, then its lock. They are held open, so that no
            other file can pass for one. Without them the folder was deleted, emptied, renamed or replaced, or another
            run may be at work; so they are asked for at each write.
        kept: Files in it that were there before, and must be at the end.
        last: The file that says that the run is finished: not written before all that was written is found again.
    """
    left = {path: _size(path) for path in kept}
    with ExitStack() as stack:
        held = {path: stack.enter_context(path.open("rb")) for path in proofs}

        def look(stage: Stage, path: Path, temporary: Path | None) -> None:
            if not path.is_relative_to(folder):
                return
            if stage == "done":
                if not _is_scaffold(path.relative_to(folder)):
                    left[path] = _size(path)
                return
            lost = [proof for proof, file in held.items() if not _is_there(file, proof)]
            if lost == [proofs[0]] and all(map(Path.exists, kept)):
                raise RunError(
                    f"{lost[0]} was removed or replaced meanwhile; nothing more is written to {folder}. Put that file "
                    "back (that of another run by the same version of lingraft will do) and run the recipe again to "
                    "continue it, or give another output_dir"
                )
            if lost:
                raise RunError(
                    f"{folder} is no longer the folder of this run: it was deleted, emptied, renamed or replaced "
                    "meanwhile; nothing more is written there. Run the recipe again, with the folder back in its place "
                    "to continue it"
                )
            if path == last:
                _refuse_changed(left)

        stack.enter_context(watch_writes(look))
        yield


def _refuse_changed(left: dict[Path, int | None]) -> None:
    """Refuse to finish where a file is not as it was left.

    Raises:
        RunError: Somebody removed or changed one.
    """
    for path, size in left.items():
        now = _size(path)
        if now != size:
            raise RunError(
                f"{path} was {'removed' if now is None else 'changed'} by somebody else while this run worked; it is "
                "not called finished. Run the recipe again"
            )


def _is_scaffold(path: Path) -> bool:
    """Return whether a file serves a trial in the making, and goes when that is made: its state, what lies deeper."""
    return path.name == STATE or "trials" in path.parts[:-3]  # in trials/NAME/ is what stays


def _size(path: Path) -> int | None:
    """Return the bytes of a file; None where there is none.

    Not its time or inode, which some file systems change later; what matters most has a checksum besides.
    """
    try:
        return path.stat().st_size
    except OSError:
        return None


def _is_there(file: IO[bytes], path: Path) -> bool:
    """Return whether ``path`` is the file that was opened."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False
