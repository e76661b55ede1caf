"""Text as it comes out of files, and how two texts are compared.

Every line-based reader goes through :func:`read_lines`, so that a file which is missing, compressed,
not UTF-8 or no text at all gives the same clear message wherever it is read.
"""

from __future__ import annotations

import codecs
import difflib
import gzip
import io
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from ..core.errors import DataError
from .bounds import LINE_BYTES, refuse_bomb
from .standard_input import STANDARD_INPUT, standard_input

BUFFER = 1 << 16
"""Bytes that are read at a time; the ends of lines are told from the first of them."""

MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32",  # before that of UTF-16, with which it begins
    codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip
"""What a file in another encoding begins with."""

OTHER_FILES = {
    b"\x1f\x8b": "is compressed with gzip; let its name end in .gz",
    b"PK\3\4": "is a spreadsheet or a zip archive; let the name of a spreadsheet end in .xlsx, unpack an archive",
    b"PK\5\6": "is an empty zip archive; give what was to be in it",
    b"\xd0\xcf\x11\xe0": "is an old or protected Office file; save it as .xlsx or .csv",
    b"PAR1\x15": "is a Parquet file; let its name end in .parquet",
    b"ARROW1\0": "is an Arrow file; save it as .parquet",
    b"SQLite format 3\0": "is a database; export the table as .csv",
    b"%PDF-": "is a PDF; give its text",
}
"""What files begin with that are no text, and what to do about them."""


OTHER_SPREADSHEETS = (".xls", ".xlsb", ".xlsm", ".xlt", ".ods", ".fods", ".numbers")
"""Suffixes of those that only their own programs read."""


def normalise(text: str) -> str:
    """Return ``text`` as it is compared for duplicates and leakage.

    NFKC, case-folded, white space collapsed and stripped: Yoruba, for one, occurs as NFC and as NFD.
    """
    # Case folding can undo the composition, hence the second pass.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def strip_blanks(text: str) -> str:
    """Return ``text`` as it is compared with what is evaluated on: tagged words lost the blanks between them."""
    return normalise(text).replace(" ", "")


def suffix_of(path: Path) -> str:
    """Return the suffix that tells the format, without ``.gz`` and in lower case: ``.tsv`` for ``a.TSV.gz``."""
    inner = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return inner.suffix.lower()


def unknown_format(path: Path | str, expected: str) -> str:
    """Say that a file's suffix is that of no format which is read here.

    Args:
        path: The file.
        expected: The suffixes that are.
    """
    suffix = suffix_of(Path(path))
    cure = "; save it as .xlsx or .csv" if suffix in OTHER_SPREADSHEETS else ""
    return f"{path}: cannot tell the format from {suffix or 'no suffix'}; expected {expected}{cure}"


@contextmanager
def open_bytes(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file for reading bytes, decompressing ``.gz``.

    Raises:
        DataError: The file is missing or not readable, also when that shows only while reading, or the compressed
            data are damaged, or more comes out of them than text can be.
    """
    if not path.is_file():
        raise DataError(_missing(path))
    try:
        with path.open("rb", buffering=BUFFER) as plain:
            if path.suffix.lower() == ".gz":
                refuse_bomb(gzip.GzipFile(fileobj=plain), path)
                plain.seek(0)
                yield io.BufferedReader(gzip.GzipFile(fileobj=plain), BUFFER)
            else:
                yield cast("io.BufferedReader", plain)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: is not a complete gzip file ({error}); download or compress it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yield ``(line number, line)``, numbered from 1, without line ends or a byte order mark.

    Only ``\n`` and ``\r\n`` end a line, or ``\r`` in a file that begins without the others (as an old Macintosh wrote
    them); U+2028 and its like, which occur inside sentences, do not.

    Raises:
        DataError: As :func:`open_bytes`; or the file is empty, a line is not UTF-8 or longer than
            ``LINE_BYTES``.
    """
    number = 0
    with open_lines(path) as lines:
        for raw in lines:
            number += 1
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            line = _decoded(raw, path, number).removesuffix("\n").removesuffix("\r")
            yield number, line
    if not number:
        raise DataError(f"{path}: is empty")


@contextmanager
def open_lines(path: Path) -> Iterator[Iterator[bytes]]:
    """Open a file, or standard input, for reading its lines with their ends; of one that is too long, enough to see it.

    Raises:
        DataError: As :func:`open_bytes`.
    """
    if path is STANDARD_INPUT:
        stream = standard_input()
        yield iter(lambda: stream.readline(LINE_BYTES + 2), b"")
        return
    with open_bytes(path) as file:
        head = file.peek()
        old = b"\r" in head and b"\n" not in head
        yield _old_lines(file) if old else iter(lambda: file.readline(LINE_BYTES + 2), b"")


def _old_lines(stream: io.BufferedReader) -> Iterator[bytes]:
    """Yield lines that end as an old Macintosh ended them."""
    rest = b""
    while len(rest) <= LINE_BYTES and (chunk := stream.read(BUFFER)):
        *lines, rest = (rest + chunk).split(b"\r")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def _decoded(raw: bytes, path: Path, number: int) -> str:
    if number == 1:
        _refuse_other_files(raw, path)
    if len(raw) > LINE_BYTES and not raw.endswith(b"\n"):
        raise DataError(
            f"{path}, line {number}: is longer than {LINE_BYTES:,} bytes; expected one text or record a line, "
            "so split it into lines or leave it out"
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {number}: is not UTF-8 (byte 0x{raw[error.start]:02x} at position {error.start + 1}), "
            f"likely Latin-1; convert it with {_iconv(path, 'LATIN1')}"
        ) from error


def _refuse_other_files(head: bytes, path: Path) -> None:
    """Refuse a file whose first line shows that it is no UTF-8, or no text at all."""
    if (what := next((what for mark, what in OTHER_FILES.items() if head.startswith(mark)), None)) is not None:
        raise DataError(f"{path}: is no text: it {what}")
    encoding = next((name for mark, name in MARKS.items() if head.startswith(mark)), None)
    if encoding is None and head.count(0) > len(head) // 3:  # every second byte of Latin letters
        encoding = "UTF-16LE" if head[:1] != b"\0" else "UTF-16BE"
    if encoding is not None:
        raise DataError(f"{path}: is {encoding}, not UTF-8; convert it with {_iconv(path, encoding)}")


def _iconv(path: Path, encoding: str) -> str:
    if path is STANDARD_INPUT:
        return f"`iconv -f {encoding} -t UTF-8` before this command"
    if path.suffix.lower() == ".gz":
        return f"`gzip -dc {path} | iconv -f {encoding} -t UTF-8 > {path.with_suffix('').name}`"
    return f"`iconv -f {encoding} -t UTF-8 {path} > converted{path.suffix}`"


def _missing(path: Path) -> str:
    if path.is_dir():
        return f"{path}: is a folder; a file is expected"
    if path.exists():
        return f"{path}: expected a regular file, found a pipe or a device; write what it gives to a file"
    if not path.parent.is_dir():
        return f"{path}: no such file; the folder {path.parent} does not exist either"
    nearest = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"nothing in {path.parent} is called like it"
    return f"{path}: no such file; {hint}"


def whole_characters(text: str, where: str) -> str:
    """Return ``text``, if it can be written: JSON may hold half of a pair of surrogates.

    Raises:
        DataError: It cannot.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where} holds half a surrogate pair at position {error.start + 1}; write the character itself or the "
            "whole \\u pair"
        ) from error
    return text
