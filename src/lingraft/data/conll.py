"""Sentences with a tag for each word: CoNLL's columns (MasakhaNER, PAN-X) and CoNLL-U (Universal Dependencies).

Words are kept as the file has them, also where one is a lone invisible character (PAN-X has such): the gold
tags are counted by word, and what a tokenizer makes of a word is not the reader's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import DataError
from ..core.examples import TaggedExample
from . import languages
from .text import read_lines, suffix_of

CONLLU = 10
"""Columns of a row of CoNLL-U, of which the second is the form and the fourth the universal part of speech."""


SUFFIXES = (".conll", ".txt", ".bio", ".iob", ".iob2", "")
"""Of files that have words in columns, where they have no other reader."""

COMMENTS = 1000
"""Before one sentence, at most; what begins with ``#`` after them is a row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a word with its tag, ``None`` where it has none."""

    line: int
    word: str
    tag: str | None
    cells: tuple[str, ...] = ()
    """All that the line has."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Rows, and the name that the file gives them."""

    name: str | None
    rows: list[Row]


def tagged_examples(
    path: Path | str,
    *,
    language: str,
    columns: tuple[int, int] | None = None,
    labelled: bool = True,
    check: Callable[[str], None] | None = None,
) -> list[TaggedExample]:
    """Read the sentences of a file, which may be compressed.

    ``.conllu`` is read as CoNLL-U, without comments, ranges (``1-2``) and empty nodes (``1.1``). Anything else
    has a line for each word, columns parted by a tab or, where there is none, by blanks, an empty line between
    sentences, and perhaps comments before them (``# id 1``) and ``-DOCSTART-`` lines, which are left out. Identifiers
    are ``sent_id`` where there is one, otherwise sentence numbers. WikiAnn writes ``sw:Nairobi``: such a prefix, if
    all words have it and it
    is the language's, is taken off.

    Args:
        path: The file.
        language: In any spelling.
        columns: Which columns, from 0, hold word and tag, in a file that has more than two; negative ones
            count from the end. CoNLL-U's are 1 and 3.
        labelled: Whether every word must have a tag; if not, a sentence without any is read without tags.
        check: Refuses a tag that is not of the scheme, by raising a ``DataError``.

    Raises:
        DataError: A row does not fit, named with file, line and cure; or an identifier occurs twice.
    """
    path, code = Path(path), languages.canonical(language)
    if columns is not None and (len(columns) != 2 or columns[0] == columns[1]):
        raise DataError(f"columns: {list(columns)} are not two columns; say where word and tag are, as in [0, 3]")
    read = _conllu if suffix_of(path) == ".conllu" else _columns
    sentences = _without_prefix(list(read(path, columns, labelled)), code)
    if not sentences:
        raise DataError(f"{path}: has no sentences; expected a line for each word, with its tag")
    seen: dict[str, int] = {}
    examples = []
    for number, sentence in enumerate(sentences, start=1):
        name, line = sentence.name or str(number), sentence.rows[0].line
        if name in seen:
            raise DataError(
                f"{path}, line {line}: the sentence {name!r} is on line {seen[name]} already; sent_id must be unique"
            )
        seen[name] = line
        tags = _tags(sentence, path, labelled=labelled, check=check)
        words = tuple(row.word for row in sentence.rows)
        examples.append(TaggedExample(id=name, group=name, language=code, words=words, tags=tags))
    return examples


def untagged_sentences(path: Path, *, language: str, column: int | None = None) -> Iterator[Sentence]:
    """Yield the sentences of a file of any number of columns one by one, whatever their tags.

    Args:
        path: As for :func:`tagged_examples`; a word a line will do.
        language: Whose WikiAnn prefix is taken off the words of a sentence that all have it.
        column: Which one holds the word; by default the first, of CoNLL-U the second.

    Raises:
        DataError: A row does not fit.
    """
    conllu = suffix_of(path) == ".conllu"
    place = (1 if conllu else 0) if column is None else column
    for sentence in (_conllu if conllu else _columns)(path, (place, -1), False):
        yield from _without_prefix([sentence], language)


def _tags(
    sentence: Sentence,
    path: Path,
    *,
    labelled: bool,
    check: Callable[[str], None] | None,
) -> tuple[str, ...] | None:
    tags = [row.tag for row in sentence.rows if row.tag is not None]
    if not tags and not labelled:
        return None
    for row in sentence.rows:
        if row.tag is None:
            raise DataError(
                f"{path}, line {row.line}: the word {row.word!r} has no tag; add it"
                + ("" if labelled else " or remove the others' tags")
            )
        where = f"{path}, line {row.line}, word {row.word!r}"
        if row.tag.split() != [row.tag]:
            raise DataError(f"{where}: the tag {row.tag!r} has a blank in it; write it as one word")
        try:
            if check is not None:
                check(row.tag)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
    return tuple(tags)


def _columns(path: Path, columns: tuple[int, int] | None, labelled: bool) -> Iterator[Sentence]:
    """Yield sentences of a file that has words and tags in columns."""
    rows: list[Row] = []
    width = None if columns else 2
    for number, line, comment in _told_apart(path):
        if comment:
            continue
        cells = _cells(line)
        if not line.strip() or cells[0] == "-DOCSTART-":
            if rows:
                yield Sentence(None, rows)
            rows = []
            continue
        if columns is None and not labelled and len(cells) == 1:
            cells = [*cells, ""]
        width = width or len(cells)
        if len(cells) != width:
            raise DataError(f"{path}, line {number}: {_wrong_width(line, cells, width, columns)}")
        rows.append(_row(cells, columns or (0, 1), path, number))
    if rows:
        yield Sentence(None, rows)


def _told_apart(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield the number of a line, the line, and whether it is a comment.

    As ``#`` is a word too, comments are told by their shape: they begin with it, stand before a sentence, and have
    not as many columns as its first row, or part them otherwise.
    """
    held: list[tuple[int, str]] = []
    shape: tuple[bool, int] | None = None
    inside = False
    for number, line in read_lines(path):
        if not inside and line.startswith("#") and len(held) < COMMENTS:
            held.append((number, line))
            continue
        begins = bool(line.strip()) and not line.startswith("-DOCSTART-")
        if begins and not inside:
            shape = _shape(line)
        yield from ((at, one, _is_comment(one, shape)) for at, one in held)
        held, inside = [], begins
        yield number, line, False
    yield from ((at, one, _is_comment(one, shape)) for at, one in held)


def _is_comment(line: str, shape: tuple[bool, int] | None) -> bool:
    """Return whether a line that begins with ``#`` is no row of a sentence whose first row has this shape."""
    return _shape(line) != shape if shape else len(_cells(line)) > 2


def _shape(line: str) -> tuple[bool, int]:
    """Return whether the columns of a line are parted by tabs, and how many there are."""
    return "\t" in line, len(_cells(line))


def describe_comments(path: Path) -> str | None:
    """Return a sentence about how many comments a file of words in columns has; None where it has none, or is none.

    Raises:
        DataError: It cannot be read.
    """
    if suffix_of(path) not in SUFFIXES:
        return None
    count = sum(comment for _, _, comment in _told_apart(path))
    return f"{path.name}: {count:,} comment{'s' if count > 1 else ''} (# before a sentence) left out" if count else None


def _conllu(path: Path, columns: tuple[int, int] | None, labelled: bool) -> Iterator[Sentence]:
    """Yield sentences of a file in CoNLL-U."""
    name: str | None = None
    rows: list[Row] = []
    for number, line in read_lines(path):
        if not line.strip():
            if rows:
                yield Sentence(name, rows)
            name, rows = None, []
            continue
        if line.startswith("#"):
            key, _, value = line[1:].partition("=")
            name = (value.strip() or None) if key.strip() == "sent_id" else name
            continue
        cells = line.split("\t")
        if len(cells) != CONLLU:
            raise DataError(
                f"{path}, line {number}: has {_count(cells)}, CoNLL-U has {CONLLU} parted by tabs; correct the row, or "
                "name a file of other columns .tsv"
            )
        if re.fullmatch(r"\d+-\d+|\d+\.\d+", cells[0]):
            continue
        if not cells[0].isdecimal():
            raise DataError(f"{path}, line {number}: the word has the number {cells[0]!r}; expected 1, 1-2 or 1.1")
        row = _row(cells, columns or (1, 3), path, number)
        rows.append(replace(row, tag=None) if row.tag == "_" else row)
    if rows:
        yield Sentence(name, rows)


def _cells(line: str) -> list[str]:
    # `str.split` would part words at their no-break spaces.
    return line.split("\t") if "\t" in line else re.split(" +", line.strip(" "))


def _row(cells: list[str], columns: tuple[int, int], path: Path, number: int) -> Row:
    try:
        word, tag = (cells[column] for column in columns)
    except IndexError:
        raise DataError(
            f"{path}, line {number}: has {_count(cells)}, so there are no columns {list(columns)}; they count from 0"
        ) from None
    if not word:
        raise DataError(f"{path}, line {number}: has the tag {tag!r} but no word; write the word or remove the line")
    return Row(number, word.strip(" ") or word, tag.strip() or None, tuple(cells))


def _wrong_width(line: str, cells: list[str], width: int, columns: tuple[int, int] | None) -> str:
    if columns is not None:
        return f"has {_count(cells)}, the first row has {width}; correct it"
    if len(cells) == 1:
        return f"has only {cells[0]!r}, expected a word and its tag, parted by a tab or a blank; add what is missing"
    word = "" if "\t" in line else "if the word contains a blank, put a tab between word and tag; "
    return (
        f"has {_count(cells)}, expected 2, a word and its tag; {word}if the whole file has more columns, leave two, "
        f"or read it as your own task `tagging` with columns: [0, {len(cells) - 1}]"
    )


def _count(cells: list[str]) -> str:
    return f"{len(cells)} column{'s' if len(cells) != 1 else ''}"


def _without_prefix(sentences: list[Sentence], language: str) -> list[Sentence]:
    """Return the sentences without the ``sw:`` that WikiAnn puts before every word."""
    parts = (row.word.partition(":") for sentence in sentences for row in sentence.rows)
    prefixes = {before + colon for before, colon, _ in parts}
    # Without a colon it is the whole word, and that is no prefix.
    if len(prefixes) != 1 or (prefix := prefixes.pop()) not in {f"{name}:" for name in languages.aliases(language)}:
        return sentences
    # What is nothing but the prefix stays as it is: a word is never empty.
    return [
        replace(sentence, rows=[replace(row, word=row.word.removeprefix(prefix) or row.word) for row in sentence.rows])
        for sentence in sentences
    ]
