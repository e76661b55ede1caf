"""The door for folders from outside: what is read, and in which words the rest is refused."""

import errno
import os

import pytest
from pydantic import BaseModel, TypeAdapter

from lingraft.core.errors import CheckpointError, RunError
from lingraft.core.files import locked, publish_folder, read_lines, read_object
from lingraft.core.outside import OBJECT_BYTES, open_regular, parse_object, read_bytes, refuse_links
from posix_only import make_pipe


class Facts(BaseModel):
    """A number and a list of texts."""

    number: int
    texts: list[str] = []


FACTS = TypeAdapter(Facts)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "x.json: expected JSON, but EOF while parsing an object at line 1 column 1; do that"),
        (b"[" * 10_000, "x.json: expected JSON, but recursion limit exceeded at line 1 column "),
        (b"\xff", "x.json: expected JSON, but "),
        (b'{"number": "\\ud800"}', "x.json: expected JSON, but "),
        (b"[]", "x.json: expected a JSON object, found list; do that"),
        (b"{}", "x.json: number: Field required; do that"),
        (b'{"number": "seven"}', "found 'seven'; do that"),
        (
            b'{"number": 1, "texts": ["a", 5, 6]}',
            "texts.1: expected text, found 5 (1 more such faults)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(text, said):
    """With the place in the file, what came, and what to do."""
    with pytest.raises(CheckpointError) as refused:
        parse_object(text, "x.json", FACTS, error=CheckpointError, cure="do that")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_fits_comes_as_it_was_written():
    """In its order, with columns that the schema does not name, and nothing filled in."""
    found = parse_object(b'{"other": [1.10, null], "number": 3}', "x.json", FACTS, cure="")
    assert list(found.items()) == [("other", [1.1, None]), ("number", 3)]


def test_long_and_strange_values_are_shortened():
    """What is refused does not fill the terminal, nor write to it what a terminal obeys."""
    with pytest.raises(RunError) as refused:
        parse_object('{"number": "' + "\\u001b" * 1000 + '"}', "x.json", FACTS, cure="")
    assert len(str(refused.value)) < 250
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("read", [read_object, lambda path: list(read_lines(path)), read_bytes])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (make_pipe, "expected a regular file, found a pipe"),
        (os.mkdir, "expected a regular file, found a folder"),
        (lambda path: path.symlink_to("/dev/zero"), "expected a regular file, found a device"),
        (lambda path: path.symlink_to(path), "cannot be read (Too many levels of symbolic links)"),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, read, make, said):
    """A pipe would be waited for, a device has no end."""
    path = tmp_path / "x.json"
    make(path)
    with pytest.raises(RunError) as refused:
        read(path)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("number", "cure"), [(errno.EACCES, "give yourself the right to read it"), (errno.EIO, "copy the folder again")]
)
def test_a_file_that_one_may_not_read_is_there_and_need_not_be_fetched_again(tmp_path, monkeypatch, number, cure):
    """As the system says it; who runs this as root may read everything."""

    def refuse(path, flags):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunError, match=rf"x\.json cannot be read \({os.strerror(number)}\); {cure}$"):
        open_regular(tmp_path / "x.json")


@pytest.mark.parametrize("make", [make_pipe, lambda path: path.symlink_to(path), os.mkdir])
def test_a_lock_is_a_regular_file_or_refused(tmp_path, make):
    """Also where a link leads nowhere."""
    make(tmp_path / "a.lock")
    with pytest.raises(RunError, match=r"a\.lock: expected a regular file to lock"), locked(tmp_path / "a.lock"):
        pass


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    """Its size is asked for first."""
    path = tmp_path / "x.json"
    with path.open("wb") as file:
        file.truncate(OBJECT_BYTES + 1)
    with pytest.raises(RunError, match="has 16,777,217 bytes, and at most 16,777,216 are read"):
        read_object(path)


def test_a_missing_file_is_nothing_and_a_missing_one_that_is_needed_an_error(tmp_path):
    """Older runs lack some."""
    assert (read_object(tmp_path / "x.json"), list(read_lines(tmp_path / "x.jsonl"))) == ({}, [])
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "x.json")


def test_a_link_anywhere_in_a_run_folder_is_refused(tmp_path):
    """The folder itself may be one: that is its owner's choice."""
    (tmp_path / "run" / "trials").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "run")
    refuse_links(tmp_path / "link")
    (tmp_path / "run" / "trials" / "one").symlink_to(tmp_path)
    with pytest.raises(RunError, match="one is a link, and links in a run folder are not followed"):
        refuse_links(tmp_path / "link")


def test_a_published_folder_is_as_readable_as_the_umask_allows(tmp_path):
    """Whatever mode a library gave its files: a shared cache is of use to others."""
    (tmp_path / "made").mkdir(mode=0o700)
    (tmp_path / "made" / "model.safetensors").touch(mode=0o600)
    before = os.umask(0o027)
    try:
        publish_folder(tmp_path / "made", tmp_path / "there")
    finally:
        os.umask(before)
    modes = [
        oct(path.stat().st_mode & 0o777) for path in (tmp_path / "there", tmp_path / "there" / "model.safetensors")
    ]
    assert modes == ["0o750", "0o640"]
