"""Translation memories (TMX): units of translation, each the same segment in several languages.

Expat knows few encodings, and Chinese and Japanese memories are declared in others: the text is decoded here,
whatever Python can decode, and the parser sees UTF-8.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError, iterparse

from ..core.errors import DataError
from .bounds import LINE_BYTES, Bytes
from .text import open_bytes

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
NATIVE_CODE = frozenset({"bpt", "ept", "ph", "it", "ut"})
"""Inline elements that hold mark-up of the original document, not text."""
DEPTH = 100
"""Of elements within each other; a memory has eight, and mark-up within segments some more."""
DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"), (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"),
)  # fmt: skip

Meaning = Callable[[tuple[str, ...]], Mapping[str, str | None]]
"""Names of languages to which side each is: ``"source"``, ``"target"`` or None."""


def translation_units(path: Path, meaning: Meaning, wanted: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name, source and target of each unit that has both.

    Args:
        path: The file.
        meaning: Which side each language of several is.
        wanted: Both sides, for messages.

    Raises:
        DataError: It is no such file, its encoding is unknown, or no unit has both sides.
    """
    unit = 0
    seen: set[str] = set()
    with open_bytes(path) as stream:
        try:
            for element in _units(_Recoded(stream, path, _encoding(stream.peek(), path))):
                unit += 1
                sides = dict(_variants(element))
                seen.update(sides)
                meant = meaning(tuple(sides))
                texts = {meant[language]: text for language, text in reversed(sides.items())}
                if "source" in texts and "target" in texts:
                    yield element.get("tuid") or str(unit), texts["source"], texts["target"]
        except ParseError as error:
            raise DataError(f"{path}: is not well-formed XML ({error}); correct it or export it again") from error
        except DefusedXmlException as error:
            raise DataError(
                f"{path}: declares XML entities, which are refused as they can exhaust the memory ({error}); "
                "remove the declarations from its DOCTYPE"
            ) from error
    if not unit:
        raise DataError(f"{path}: has no translation units (<tu>); expected a TMX file")
    if not {"source", "target"} <= set(meaning(tuple(seen)).values()):
        raise DataError(f"{path}: has no units in both {wanted}; its languages are {', '.join(sorted(seen)) or 'none'}")


def _units(text: _Recoded) -> Iterator[Element]:
    """Yield the units of a memory, of which no other is kept meanwhile, nor anything that is in none."""
    within: list[Element] = []
    inside: Element | None = None
    utf8 = DefusedXMLParser(encoding="utf-8")  # whatever the declaration says
    for event, element in iterparse(text, events=("start", "end"), parser=utf8):
        if event == "start":
            within.append(element)
            if len(within) > DEPTH:
                raise DataError(f"{text.path}: has elements {DEPTH} deep in each other; expected a TMX file")
            if inside is None and _tag(element) == "tu":
                inside = element
            continue
        within.pop()
        if inside is not None and element is not inside:
            continue
        if text.since:  # more was read since the last time
            text.since = 0
            for outer in within:
                del outer[:]  # what has been seen, or millions of empty elements stay
        if inside is not None:
            inside = None
            yield element


def _encoding(head: bytes, path: Path) -> str:
    """Return the encoding that a file is in, or says that it is in.

    Raises:
        DataError: Python knows none of that name that is for text.
    """
    found = next((name for mark, name in MARKS if head.startswith(mark)), None)
    declared = DECLARED.match(head)
    name = found or (declared[1].decode("ascii") if declared else "utf-8")
    try:
        "a".encode(name)  # refuses what is no encoding of text, such as rot13
    except (LookupError, ValueError) as error:
        raise DataError(
            f"{path}: is declared to be in the encoding {name!r}, which is unknown; convert it to UTF-8 and "
            "correct the declaration in its first line"
        ) from error
    return name


class _Recoded:
    """A file in any encoding, read as UTF-8."""

    def __init__(self, stream: Bytes, path: Path, encoding: str) -> None:
        self.stream, self.path, self.encoding = stream, path, encoding
        self.decoder = codecs.getincrementaldecoder(encoding)()
        self.since = 0  # bytes since a unit, or an element that is in none, was read; whoever reads them says so

    def read(self, size: int) -> bytes:
        """Return some bytes; none at the end.

        Raises:
            DataError: They are not in that encoding, or a tag or text is too long.
        """
        found = b""
        while not found and (chunk := self.stream.read(size)):
            found = self._decoded(chunk)
        self.since += len(found)
        if self.since > LINE_BYTES:
            raise DataError(
                f"{self.path}: has a tag, text or unit of more than {LINE_BYTES:,} bytes, the most that is read"
            )
        return found

    def _decoded(self, chunk: bytes) -> bytes:
        try:
            return self.decoder.decode(chunk).encode("utf-8")
        except UnicodeError as error:
            raise DataError(
                f"{self.path}: is not in the encoding {self.encoding!r} that it is declared in ({error}); correct the "
                "declaration in its first line, or convert the file to UTF-8"
            ) from error


def _variants(unit: Element) -> Iterator[tuple[str, str]]:
    for variant in unit:
        if _tag(variant) == "tuv":
            language = variant.get(XML_LANG) or variant.get("lang") or ""
            segment = next((child for child in variant if _tag(child) == "seg"), None)
            yield language, "" if segment is None else "".join(_inner_text(segment))


def _inner_text(element: Element) -> Iterator[str]:
    if _tag(element) not in NATIVE_CODE:
        yield element.text or ""
        for child in element:
            yield from _inner_text(child)
            yield child.tail or ""


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
