"""Files are whole or absent, and two processes wait for each other."""

import errno
import logging
import os
import time
from pathlib import Path

import platformdirs
import pytest

from lingraft.core.errors import RunError, WriteError
from lingraft.core.files import (
    cache_root,
    locked,
    locked_or_refused,
    put_in_place,
    read_lines,
    read_object,
    watch_writes,
    write_atomically,
    write_text,
)


def test_cache_root_follows_the_environment(monkeypatch, tmp_path):
    """``LINGRAFT_CACHE`` wins over the user's cache directory."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    assert cache_root() == tmp_path

    monkeypatch.setenv("LINGRAFT_CACHE", "~/elsewhere")
    assert cache_root() == Path.home() / "elsewhere"

    monkeypatch.setenv("LINGRAFT_CACHE", "")
    assert cache_root() == Path(platformdirs.user_cache_dir("lingraft"))


def test_written_file_replaces_the_old_one(tmp_path):
    """The new content is there, the temporary file is not, and the folder was made."""
    path = tmp_path / "new" / "scores.jsonl"
    for content in ("one", "two"):
        write_atomically(path, lambda temporary, content=content: temporary.write_text(content))

    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def refusing(times, error):
    """A renaming that the system refuses so many times."""
    left = [error] * times

    def replace(temporary, path):
        if left:
            raise left.pop()
        temporary.replace(path)

    return replace


def test_what_another_process_has_open_is_replaced_once_it_lets_go(tmp_path):
    """As on Windows; who never lets go, and another reason than that, is told."""
    held = PermissionError(errno.EACCES, "The process cannot access the file because it is being used")
    (new := tmp_path / "new").write_text("new", encoding="utf-8")
    (path := tmp_path / "a").write_text("old", encoding="utf-8")
    with pytest.raises(PermissionError, match="being used"):
        put_in_place(new, path, replace=refusing(9, held), waits=(0, 0))
    with pytest.raises(FileNotFoundError):
        put_in_place(new, path, replace=refusing(1, FileNotFoundError()), waits=(0, 0))
    assert path.read_text(encoding="utf-8") == "old"
    put_in_place(new, path, replace=refusing(2, held), waits=(0, 0))
    assert path.read_text(encoding="utf-8") == "new"


def test_lines_end_alike_on_all_systems(tmp_path):
    """So that files have the same digests there."""
    write_text(tmp_path / "a.txt", "one\ntwo\n")
    assert (tmp_path / "a.txt").read_bytes() == b"one\ntwo\n"


def test_writer_gets_a_path_of_the_same_kind(tmp_path):
    """Writers that look at the suffix, or insist on the same file system, are content."""
    seen = []
    write_atomically(tmp_path / "a.npz", lambda temporary: seen.append(temporary))

    assert seen[0].suffix == ".npz"
    assert seen[0].parent == tmp_path


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (
            OSError(errno.ENOSPC, "full"),
            WriteError,
            "No space left on device; .* Free some space and run",
        ),
        (OSError(errno.EFBIG, "large"), WriteError, "scores.jsonl: File too large; .* Free some space and run"),
        (
            OSError(errno.EROFS, "no"),
            WriteError,
            "Read-only file system; .* Make the folder writable and",
        ),
        (OSError(errno.EIO, "broken"), WriteError, "scores.jsonl: Input/output error; .* Check the disk and run"),
        (OSError("a library's own"), WriteError, "scores.jsonl: a library's own; .* Mend that and run"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
)
def test_failed_write_leaves_the_old_file(tmp_path, error, raised, said):
    """After a full disk or an interrupt the previous content is untouched and nothing lies around."""
    path = tmp_path / "scores.jsonl"
    path.write_text("old")

    def write(temporary):
        temporary.write_text("half")
        raise error

    with pytest.raises(raised, match=said):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_who_watches_writes_sees_every_stage_and_may_refuse_one(tmp_path):
    """In their order, with the temporary file as long as there is one; what is refused is not written."""
    path, seen = tmp_path / "scores.jsonl", []

    def watch(stage, path, temporary):
        seen.append((stage, path.name, temporary is not None and temporary.read_text()))
        if temporary is not None and temporary.read_text() == "refused":
            raise RunError("not here")

    with watch_writes(watch):
        write_text(path, "new")
        with pytest.raises(RunError, match="not here"):
            write_text(path, "refused")
    write_text(tmp_path / "unwatched.txt", "")

    stages = [("create", False), ("flush", "new"), ("rename", "new"), ("done", False)]
    stages += [("create", False), ("flush", "refused")]
    assert seen == [(stage, path.name, content) for stage, content in stages]
    assert path.read_text() == "new"


def test_written_file_is_as_readable_as_any_other(tmp_path):
    """A shared cache is readable by whom the umask allows, not by its maker alone."""
    (tmp_path / "usual").write_text("")
    write_atomically(tmp_path / "ours", lambda temporary: temporary.write_text(""))

    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def count_up(lock, counter):
    """Read, pause, write: loses counts unless one process goes at a time."""
    for _ in range(5):
        with locked(lock):
            value = int(counter.read_text())
            time.sleep(0.005)
            counter.write_text(str(value + 1))


def test_lock_lets_one_process_at_a_time(tmp_path, fork):
    """Three processes that count under a lock lose nothing."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [fork.Process(target=count_up, args=(tmp_path / "lock", counter)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=30)

    assert counter.read_text() == "15"


def hold(lock, started, seconds):
    """Take the lock and keep it for a while."""
    with locked(lock):
        started.set()
        time.sleep(seconds)


def test_long_wait_is_announced(tmp_path, caplog, fork):
    """Who waits says for what; who does not wait is silent."""
    started = fork.Event()
    process = fork.Process(target=hold, args=(tmp_path / "lock", started, 0.5))
    process.start()
    started.wait(timeout=10)

    with caplog.at_level(logging.WARNING), locked(tmp_path / "lock", patience=0.05):
        assert str(tmp_path / "lock") in caplog.text
    process.join(timeout=10)

    caplog.clear()
    with locked(tmp_path / "lock"):
        assert not caplog.text


def crash(lock):
    """Die with the lock in hand."""
    with locked(lock):
        os._exit(1)


def test_lock_dies_with_its_process(tmp_path, fork):
    """A crash leaves no lock behind."""
    process = fork.Process(target=crash, args=(tmp_path / "lock",))
    process.start()
    process.join(timeout=10)

    assert process.exitcode == 1
    with locked_or_refused(tmp_path / "lock"):
        pass


def test_a_lock_file_left_behind_is_harmless(tmp_path, fork):
    """Whoever held it: who comes next takes it, and what another lock kind once wrote there stays unread."""
    lock = tmp_path / "lock"
    lock.write_text("4711")

    for _ in range(2):
        with locked(lock), pytest.raises(BlockingIOError):
            fork_refused(lock, fork)
        with locked_or_refused(lock):
            pass


def fork_refused(lock, fork):
    """Ask for a held lock from another process, and raise here what it raised there."""
    with fork.Pool(1) as pool:
        pool.apply(take, (lock,))


def take(lock):
    """Hold the lock for no time."""
    with locked_or_refused(lock):
        pass


def test_a_lock_file_is_as_accessible_as_any_other(tmp_path):
    """Colleagues who share a folder may lock it too."""
    (tmp_path / "usual").write_text("")
    with locked(tmp_path / "one"), locked_or_refused(tmp_path / "other"):
        modes = {(tmp_path / name).stat().st_mode for name in ("usual", "one", "other")}

    assert len(modes) == 1


def test_what_is_not_even_text_is_refused_with_its_place(tmp_path):
    """As damaged JSON is, of one object or of a line."""
    path = tmp_path / "run.json"
    path.write_bytes(b"\xff\xfe\x00junk")
    for read in (read_object, lambda path: list(read_lines(path))):
        with pytest.raises(RunError, match=r"run\.json.*: expected JSON"):
            read(path)
