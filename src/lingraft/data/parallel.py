"""Parallel text: the same sentence, or word, in two languages, from whatever people have.

Two files aligned by line, tab-separated pairs, CSV or JSONL columns, translation memories (TMX),
gettext catalogues and bilingual lexicons all become :class:`ParallelPair`; what is dropped on the
way is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path

from ..core.errors import DataError
from ..core.examples import ParallelPair
from ..core.registry import unknown
from . import languages
from .cells import described, is_missing, written
from .columns import place_of_columns
from .gettext_catalogues import catalogue_entries
from .memory import SUFFIX
from .table import cell_of, read_table
from .table_formats import HUB, read_cells
from .text import OTHER_SPREADSHEETS, normalise, read_lines, suffix_of, unknown_format, whole_characters
from .translation_memories import translation_units

Entry = tuple[str, str, str]
"""Group, source, target, as they stand in the file."""

LEXICON_WORDS = 3
"""Tables and word lists whose entries have no more words than this on average are lexicons."""

TABLES = (".tsv", ".csv", ".jsonl", ".ndjson", ".parquet", ".xlsx", SUFFIX)

FIELDS = ("source", "target", "group")
Fields = Mapping[str, str | int]
"""Which column is which: by name, or by number from 1 where there is no header."""

SOURCE_WORDS = frozenset({"source", "src"})
TARGET_WORDS = frozenset({"target", "tgt"})


@dataclass(frozen=True, slots=True)
class ParallelText:
    """What a file, or a pair of files, of parallel text holds.

    ``kind`` is ``"lines"``, ``"tsv"``, ``"csv"``, ``"jsonl"``, ``"parquet"``, ``"tmx"``, ``"gettext"``
    or ``"lexicon"``. Of the ``read`` pairs, ``duplicates`` repeated an earlier one and ``empty`` lacked
    a side (or were marked as unfinished or obsolete, in gettext); ``pairs`` are the rest.
    """

    pairs: tuple[ParallelPair, ...]
    kind: str
    read: int
    duplicates: int
    empty: int


def read_parallel(
    path: Path | str,
    *,
    source_language: str,
    target_language: str,
    target_path: Path | str | None = None,
    fields: Fields | None = None,
) -> ParallelText:
    """Read the pairs of a file, its format chosen by the suffix (``.gz`` may follow it).

    * two files, ``path`` and ``target_path``: aligned by line;
    * ``.tsv``: source, tab, target. A header of language names or ``source``/``target`` is optional and
      tells the direction; with ``fields`` a header is required and other columns are allowed;
    * ``.csv``, ``.jsonl``, ``.parquet``, ``.xlsx``: columns named by ``fields``, or after the languages;
    * ``.tmx``: translation memory; ``.po``, ``.mo``: gettext, ``msgid`` being the source;
    * ``.txt``: bilingual lexicon, two words a line between tabs or blanks.

    Tables with at most ``LEXICON_WORDS`` words an entry, on the average of either side, are of the
    kind ``"lexicon"``.

    Args:
        path: The file, or the source side of two.
        source_language: Any spelling that :func:`languages.canonical` knows.
        target_language: The same.
        target_path: Target side of two line files.
        fields: ``source``, ``target`` and, optionally, ``group`` -> column: its name, or its number from 1 in a
            ``.tsv`` or ``.csv`` without a header. A pair's group is its line, or unit of translation, unless given.

    Raises:
        DataError: The file is faulty, sides differ in length, or no pair is left.
    """
    source, target = languages.canonical(source_language), languages.canonical(target_language)
    if source == target:
        raise DataError(f"{path}: source and target language are both {source}; give two languages")
    file = Path(path)
    entries: Iterable[Entry]
    if target_path is not None:
        kind, entries = "lines", _aligned_lines(file, Path(target_path))
    else:
        kind, entries = _entries(file, source, target, fields)
    may_be_lexicon = target_path is None and kind not in ("tmx", "gettext")
    where = str(path) if target_path is None else f"{path} and {target_path}"
    return _collect(entries, kind, source, target, where, may_be_lexicon=may_be_lexicon)


def names_target(path: Path, source_language: str, target_language: str, fields: Fields | None = None) -> bool:
    """Return whether a file of :func:`read_parallel` says itself what of it is in the target language.

    A translation memory does, and a table does whose column is named after the language; columns that ``fields``
    chooses, or that are called ``target``, are the same for whatever language they are read.

    Args:
        path: The file.
        source_language: Any spelling that :func:`languages.canonical` knows.
        target_language: The same.
        fields: See :func:`read_parallel`.

    Raises:
        DataError: The file cannot be read.
    """
    source, target, suffix = *map(languages.canonical, (source_language, target_language)), suffix_of(path)
    if suffix == ".tmx":
        return True
    if fields or not (suffix in TABLES or str(path).startswith(HUB)):
        return False
    names = next(read_lines(path), (1, ""))[1].split("\t") if suffix == ".tsv" else next(read_table(path), (1, {}))[1]
    meant = _sides(list(map(str, names)), source, target)
    return any(side == "target" and name.strip().casefold() not in TARGET_WORDS for name, side in meant.items())


def _entries(path: Path, source: str, target: str, fields: Fields | None) -> tuple[str, Iterable[Entry]]:
    suffix = suffix_of(path)
    if fields is None and suffix == ".tsv":
        return "tsv", _tab_separated(path, source, target)
    if fields and any(isinstance(column, int) for column in fields.values()):
        return suffix.removeprefix("."), _numbered_columns(path, fields)
    if suffix in TABLES or str(path).startswith(HUB):
        kind = "jsonl" if suffix == ".ndjson" else suffix.removeprefix(".") or "hub"
        return kind, _columns(path, source, target, fields)
    if fields is not None and suffix not in OTHER_SPREADSHEETS:
        raise DataError(f"{path}: fields are for tables (.tsv, .csv, .xlsx, .jsonl, .parquet); leave them out here")
    if suffix == ".tmx":
        return "tmx", translation_units(path, lambda names: _sides(names, source, target), f"{source} and {target}")
    if suffix in (".po", ".mo"):
        return "gettext", catalogue_entries(path)
    if suffix == ".txt":
        return "lines", _words(path)
    formats = ".tsv, .csv, .xlsx, .jsonl, .parquet, .tmx, .po, .mo or .txt"
    raise DataError(unknown_format(path, f"{formats}, or a second file with the other side, line by line"))


def _collect(
    entries: Iterable[Entry], kind: str, source: str, target: str, where: str, *, may_be_lexicon: bool
) -> ParallelText:
    """Keep each pair once, as it comes: a line that is repeated a million times takes no memory for it."""
    pairs: list[ParallelPair] = []
    seen: set[tuple[str, str]] = set()
    read = empty = duplicates = left_words = right_words = 0
    for group, left, right in entries:
        read += 1
        key = (normalise(left), normalise(right))
        if not all(key):
            empty += 1
            continue
        left_words, right_words = left_words + len(left.split()), right_words + len(right.split())
        if key in seen:
            duplicates += 1
        else:
            seen.add(key)
            pairs.append(ParallelPair(left.strip(), right.strip(), source, target, group))
    if not pairs:
        raise DataError(
            f"{where}: has no pair of {source} and {target} ({read} read, {empty} with an empty or unfinished "
            "side); give a file with both sides filled in"
        )
    if may_be_lexicon and max(left_words, right_words) <= LEXICON_WORDS * (read - empty):
        kind = "lexicon"
    return ParallelText(tuple(pairs), kind, read, duplicates, empty)


def _aligned_lines(source_path: Path, target_path: Path) -> Iterator[Entry]:
    left = right = 0
    for first, second in zip_longest(read_lines(source_path), read_lines(target_path)):
        left, right = left + (first is not None), right + (second is not None)
        if first is not None and second is not None:
            yield str(first[0]), first[1], second[1]
    if left != right:
        raise DataError(
            f"{source_path} has {left} lines, {target_path} {right}; line N of both must be the same sentence, so "
            "restore the missing lines (an empty line keeps its place)"
        )


def _tab_separated(path: Path, source: str, target: str) -> Iterator[Entry]:
    left, right, width = 0, 1, 2
    for number, line in read_lines(path):
        cells = line.split("\t")
        if number == 1 and (header := _direction(cells, source, target)):
            left, right = header
            width = len(cells)
            continue
        if not line.strip():
            yield str(number), "", ""
            continue
        if len(cells) != width:
            raise DataError(
                f"{path}, line {number}: has {len(cells)} cell{'s' if len(cells) != 1 else ''}; expected {width}, "
                "separated by one tab each (say which two of more columns are meant with fields: by name, {source: …, "
                "target: …}, or, without a header, by number, {source: 1, target: 2})"
            )
        yield str(number), cells[left], cells[right]


def _direction(header: Sequence[str], source: str, target: str) -> tuple[int, int] | None:
    """Return which cells of a header name the source and the target; ``None`` where it is no header."""
    meant = _sides(header, source, target)
    meanings = [meant[cell] for cell in header]
    if meanings.count("source") == 1 and meanings.count("target") == 1:
        return meanings.index("source"), meanings.index("target")
    return None


def _sides(names: Sequence[str], source: str, target: str) -> dict[str, str | None]:
    """Return what each name means; a side that none names goes to its language in the one overlapping script."""
    meant = {name: _meaning(name, source, target) for name in names}
    for side, language in (("source", source), ("target", target)):
        others = [other for other in languages.related(language) if side not in meant.values()]
        left = [name for name in names if meant[name] is None]
        found = [name for other in others for name in left if _meaning(name, other, "") == "source"]
        if len(found) == 1:
            meant[found[0]] = side
    return meant


@cache
def _meaning(cell: str, source: str, target: str) -> str | None:
    """Return ``"source"`` or ``"target"`` where a cell names that side, ``None`` where it is anything else."""
    word = cell.strip()
    if len(word.split()) > LEXICON_WORDS:  # a sentence, no name: spare the search for the nearest
        return None
    if word.casefold() in SOURCE_WORDS:
        return "source"
    if word.casefold() in TARGET_WORDS:
        return "target"
    return {source: "source", target: "target"}.get(languages.recognised(word) or "")


def _columns(path: Path, source: str, target: str, fields: Fields | None) -> Iterator[Entry]:
    columns = None if fields is None else _checked_fields(fields)
    for number, row in read_table(path):
        where = f"{path}, line {number}"
        if columns is None:
            names = [str(name) for name in row]
            found = _direction(names, source, target)
            if found is None:
                raise DataError(
                    f"{place_of_columns(row, where)}: cannot tell which columns hold {source} and {target}; its "
                    f"columns are {', '.join(names)}; name two with fields, {{source: …, target: …}}"
                )
            columns = {"source": names[found[0]], "target": names[found[1]]}
        group = written(cell_of(row, columns["group"], "group", where)) if "group" in columns else str(number)
        left, right = (_side(cell_of(row, columns[s], s, where), columns[s], where) for s in ("source", "target"))
        yield group, left, right


def _numbered_columns(path: Path, fields: Fields) -> Iterator[Entry]:
    """Yield entries of a table without a header, whose columns are known by their numbers from 1."""
    _checked_fields(fields)
    wrong = [name for name, column in fields.items() if not isinstance(column, int) or column < 1]
    if wrong or suffix_of(path) not in (".tsv", ".csv"):
        raise DataError(
            f"{path}: fields are {dict(fields)}; expected the names of all, or the numbers of all from 1 for a .tsv or "
            ".csv without a header"
        )
    places = {name: int(column) - 1 for name, column in fields.items()}
    for number, cells in read_cells(path):
        if len(cells) <= max(places.values()):
            raise DataError(
                f"{path}, line {number}: has {len(cells)} cell{'s' if len(cells) != 1 else ''}; expected at least "
                f"{max(places.values()) + 1}, as fields are {dict(fields)}"
            )
        group = cells[places["group"]] if "group" in places else str(number)
        yield group, cells[places["source"]], cells[places["target"]]


def _checked_fields(fields: Fields) -> dict[str, str]:
    for name in fields:
        if name not in FIELDS:
            raise DataError(f"fields: {unknown(name, list(FIELDS), what='field')}")
    for name in ("source", "target"):
        if name not in fields:
            raise DataError(f"fields: `{name}` is missing; say which column holds it, as in {name}: my_column")
    return {name: str(column) for name, column in fields.items()}


def _side(value: object, column: str, where: str) -> str:
    value = "" if is_missing(value) else value
    if not isinstance(value, str):
        raise DataError(f"{where}: column {column!r} holds {described(value)}; expected text")
    return whole_characters(value, f"{where}: column {column!r}")


def _words(path: Path) -> Iterator[Entry]:
    for number, line in read_lines(path):
        if not line.strip():
            yield str(number), "", ""
            continue
        cells = line.split("\t") if "\t" in line else line.split()
        if len(cells) != 2:
            raise DataError(
                f"{path}, line {number}: has {len(cells)} entr{'ies' if len(cells) != 1 else 'y'}; expected a word and "
                "its translation, separated by a tab or a blank (a text file of sentences needs a second file with "
                "the other side)"
            )
        yield str(number), cells[0], cells[1]
