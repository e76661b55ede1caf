"""Gettext catalogues (PO and MO): messages of a program, ``msgid`` being the source.

What only a translator's program needs (dates, the formula of plurals, previous and obsolete texts) is not read, so
it cannot be wrong.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo
from babel.messages.pofile import PoFileError, PoFileParser

from ..core.errors import DataError
from .bounds import LINE_BYTES, read_whole
from .text import open_bytes, read_lines, suffix_of

FORMS = 10
"""Of a plural, at most; Arabic has six."""
FORM = re.compile(r"\s*msgstr\[(\d{1,9})\]")
OBSOLETE = "#~"
STRING = re.compile(r'\s*(?:msg\w+(?:\[\d+\])?\s*)?"')
"""What a line with a piece of a message begins with."""
NOT_NEEDED = re.compile(rb"(?<=[\n\0])(POT-Creation-Date|PO-Revision-Date|Plural-Forms)(?=:)")
"""Keys of a compiled header whose values are often out of form."""


def catalogue_entries(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield a name, the source and the translation of each message; what is unfinished or obsolete has none.

    Raises:
        DataError: It is no such file.
    """
    obsolete = 0
    if suffix_of(path) == ".mo":
        catalog = _read_mo(path)
    else:
        lines = [line for _, line in read_lines(path)]
        _check_messages(path, lines)
        obsolete = sum(line.startswith(f"{OBSOLETE} msgid ") for line in lines)
        catalog = _read_po(path, lines)
    for number, message in enumerate(catalog):
        if not message.id:  # the header
            continue
        group = str(message.lineno or number)
        for left, right in _forms(message):
            yield group, left, "" if message.fuzzy else right
    for number in range(obsolete):
        yield f"obsolete {number}", "", ""


def _check_messages(path: Path, lines: list[str]) -> None:
    """Refuse what the parser would cut or drop without a word, or need minutes for.

    Raises:
        DataError: The quotes of a piece of a message are left open, or the pieces of one are longer than any text.
    """
    size = 0
    for number, line in enumerate(lines, start=1):
        begins = STRING.match(line)
        if begins is None:
            continue
        if not line[begins.end() :].rstrip().endswith('"'):
            raise DataError(f"{path}, line {number}: is not gettext (a quote is left open); close it at the line's end")
        size = len(line) if "msg" in begins[0] else size + len(line)
        if size > LINE_BYTES:
            raise DataError(
                f"{path}, line {number}: a message is longer than {LINE_BYTES:,} characters; expected one text, so "
                "split it or leave it out"
            )


def _forms(message: Message) -> Iterator[tuple[str, str]]:
    """Yield singular with the first form, plural with the last; languages with one form have it for the plural."""
    if not isinstance(message.id, (list, tuple)):
        yield message.id, str(message.string or "")
        return
    strings = list(message.string) if isinstance(message.string, (list, tuple)) else [str(message.string or "")]
    if len(strings) > 1:
        yield message.id[0], strings[0]
    yield message.id[-1], strings[-1] if strings else ""


class _Messages(Catalog):
    """A catalogue without its header, of so many plural forms as the file has."""

    def __init__(self, forms: int) -> None:
        super().__init__()
        self.forms = forms

    @property
    def num_plurals(self) -> int:
        """The number of plural forms."""
        return self.forms

    def __setitem__(self, id: Any, message: Message) -> None:
        """Add a message; the header is none."""
        if id:
            super().__setitem__(id, message)


def _read_po(path: Path, lines: list[str]) -> Catalog:
    forms = max((int(found[1]) + 1 for line in lines if (found := FORM.match(line))), default=2)
    if forms > FORMS:
        raise DataError(f"{path}: has a message with {forms:,} plural forms; expected at most {FORMS}")
    catalog = _Messages(forms)
    needed = ("\n" if line.startswith(OBSOLETE) else f"{line}\n" for line in lines)
    try:
        PoFileParser(catalog, ignore_obsolete=True, abort_invalid=True).parse(needed)
    except PoFileError as error:
        raise DataError(
            f"{path}, line {error.lineno + 1}: is not gettext ({error}); `msgfmt -c {path}` lists all faults"
        ) from error
    # The parser meets some malformed files with whatever its string handling raises.
    except (ValueError, IndexError, AttributeError, AssertionError, TypeError, SyntaxError) as error:
        raise DataError(
            f"{path}: is not gettext ({error or type(error).__name__}); `msgfmt -c {path}` lists all faults"
        ) from error
    return catalog


def _read_mo(path: Path) -> Catalog:
    # Read whole first: the parser raises OSError for its own reasons, `open_bytes` reports the disk's.
    with open_bytes(path) as stream:
        data = read_whole(stream, path)
    try:
        return read_mo(BytesIO(NOT_NEEDED.sub(lambda found: b"X" * len(found[0]), data)))
    except (OSError, ValueError, IndexError, AssertionError, struct.error) as error:
        raise DataError(f"{path}: is no compiled gettext catalogue ({error}); compile it again with msgfmt") from error
