"""Files of tagged words to score: CoNLL's columns, or tables, such as the lines that ``lingraft predict`` writes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from ..core.counted import counted
from ..core.errors import DataError
from ..core.examples import TaggedExample
from ..data.conll import tagged_examples, untagged_sentences
from ..data.example_tables import tag_of
from ..data.table import SUFFIXES, read_table
from ..data.table_formats import read_cells
from ..data.text import suffix_of
from .score_ids import align_ids, check_ids
from .score_tables import PREDICTED, RIGHT, FileColumns, answer_column, id_of

ANY = "eng"
"""Readers want to know a language; scores do not depend on it."""

WORDS, TAGS = "words", "tags"

Check = Callable[[str], None] | None
"""Refuses a tag that is not of the scheme."""


def read_tags(
    predictions: Path, gold: Path, check: Check, columns: FileColumns, names: Sequence[str] = ()
) -> tuple[list[TaggedExample], list[TaggedExample]]:
    """Return the sentences that are right, and the same as they were predicted.

    Args:
        predictions: What was predicted: words in columns of which the last is the tag, or a table.
        gold: What is right: words with their tags, or a table.
        check: Of each tag.
        columns: Word and tag of the gold file: numbers from 0, by default it has these two; names in tables.
        names: Of tags that are numbers, in tables; by default those that the file stores.

    Raises:
        DataError: A file is not laid out so, or they are not the same sentences.
    """
    key = id_column(predictions, gold, columns)
    right = _tagged(gold, check, columns, names, key, predicted=False)
    guessed = _tagged(predictions, check, columns, names, key, predicted=True)
    if key and (columns.id or len({one.id for one in right}) == len(right)):  # what is no id tells none apart
        guessed = _in_order_of(right, guessed, predictions, gold)
    if len(right) != len(guessed):
        raise DataError(
            f"{predictions}: has {counted(len(guessed), 'sentence')}, {gold} has {len(right):,}; expected the same "
            f"sentences in the same order, parted by one empty line. They part at {_first_difference(right, guessed)}"
        )
    for one, other in zip(right, guessed, strict=True):
        if one.words != other.words:
            raise DataError(
                f"{predictions}: its words are not those of {gold} at {_first_difference([one], [other])}; predict one "
                "tag for each word of the gold file, whatever a tokenizer makes of it"
            )
    return right, guessed


def id_column(predictions: Path, gold: Path, columns: FileColumns) -> str | None:
    """Return the column of ids of two tables; None where one has none, or is no table: then sentences go by order."""
    if not all(is_table_of_tags(path, columns) for path in (predictions, gold)):
        return None
    rows = [row for path in (predictions, gold) for _, row in islice(read_table(path), 1)]
    return columns.id or ("id" if rows and all("id" in row for row in rows) else None)


def is_table_of_tags(path: Path, columns: FileColumns) -> bool:
    """Return whether a file has a row for each sentence, not one for each word."""
    return _is_table(path, [one for one in columns.words or () if isinstance(one, str)][:1])


def _tagged(
    path: Path, check: Check, columns: FileColumns, names: Sequence[str], key: str | None, *, predicted: bool
) -> list[TaggedExample]:
    named = [one for one in columns.words or () if isinstance(one, str)]
    if is_table_of_tags(path, columns):
        of_words = (*named[:1], WORDS) if predicted or not named else named[:1]
        right = (*named[1:], *filter(None, [columns.label])) or (TAGS, *RIGHT)
        guess = (columns.prediction,) if columns.prediction else (TAGS, *PREDICTED)
        return list(_tagged_rows(path, check, of_words, guess if predicted else right, names, key))
    numbers = [one for one in columns.words or () if isinstance(one, int)]
    places = ((numbers[0], -1) if predicted else (numbers[0], numbers[1])) if numbers else None
    if places is None and suffix_of(path) != ".conllu":
        width = _width(path)
        if width > 2 and not predicted:
            raise DataError(
                f"{path}: has {width} columns, which of them are word and tag? Say so with --columns 0,{width - 1}"
            )
        places = (0, -1) if width > 2 else None
    return tagged_examples(path, language=ANY, columns=places, check=check)


def _is_table(path: Path, named: Sequence[str]) -> bool:
    """Return whether a file has a row for each sentence; CSV and TSV do where their header names the words."""
    suffix = suffix_of(path)
    if suffix in (".csv", ".tsv"):
        header = next((cells for _, cells in read_cells(path)), [])
        return any(name in map(str.strip, header) for name in (*named, WORDS)) and len(header) > 1
    return suffix in SUFFIXES


def _width(path: Path) -> int:
    """Return the number of columns of the first word; 0 where there is none."""
    return next((len(sentence.rows[0].cells) for sentence in untagged_sentences(path, language=ANY)), 0)


def _tagged_rows(
    path: Path,
    check: Check,
    of_words: Sequence[str],
    of_tags: Sequence[str],
    names: Sequence[str],
    key: str | None,
) -> Iterator[TaggedExample]:
    """Yield the sentences of a table, but those without words."""
    for number, row in read_table(path):
        where = f"{path}, line {number}"
        place, column = next((name for name in of_words if name in row), None), answer_column(row, of_tags)
        words = None if place is None else _listed(row[place])
        if words is None or column is None:
            usual = of_tags[0] if len(of_tags) == 1 else "label"
            raise DataError(
                f"{where}: expected `{of_words[0]}`, a list, and their tags in `{usual}`; there are "
                f"{', '.join(row)}; say which with --columns WORDS,TAGS, or --prediction"
            )
        tags = _listed(row[column])
        if tags is None or len(tags) != len(words):
            raise DataError(
                f"{where}: has {counted(len(words), 'word')}, {column!r} is {row[column]!r:.60}; expected a tag for "
                "each"
            )
        read = tuple(
            tag_of(tag, names, f"{where}, word {word!r}", check, "--labels O,B-PER,I-PER")
            for word, tag in zip(words, tags, strict=True)
        )
        if words:
            named = id_of(row, key, number, where)
            yield TaggedExample(id=named, group=str(number), language=ANY, words=tuple(map(str, words)), tags=read)


def _in_order_of(
    right: Sequence[TaggedExample], guessed: Sequence[TaggedExample], predictions: Path, gold: Path
) -> list[TaggedExample]:
    """Return what was predicted for the sentences that are right, by their ids.

    Raises:
        DataError: An id occurs twice, or in one of the files only.
    """
    for path, examples in ((gold, right), (predictions, guessed)):
        if len(ids := Counter(one.id for one in examples)) < len(examples):
            raise DataError(f"{path}: the id {ids.most_common(1)[0][0]!r} occurs twice; keep one of the two")
    wanted = [one.id for one in right]
    given = align_ids({one.id: one for one in guessed}, wanted, predictions)
    cure = "predict each sentence of the gold file"
    check_ids(wanted, dict.fromkeys(given, "tags"), predictions, gold, missing_is_wrong=False, cure=cure)
    return [given[name] for name in wanted]


def _listed(value: Any) -> list[Any] | None:
    """Return a list, also one in a cell of text: in JSON, as ``predict`` writes it, or parted at blanks."""
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            found = json.loads(value) if value.startswith("[") else None
            if isinstance(found, list) and all(isinstance(one, str) for one in found):
                return found
        return value.split()
    return value if isinstance(value, list) else None


def _first_difference(right: Sequence[TaggedExample], guessed: Sequence[TaggedExample]) -> str:
    for one, other in zip(right, guessed, strict=False):
        for place, (word, found) in enumerate(zip(one.words, other.words, strict=False), start=1):
            if word != found:
                return f"sentence {one.id}, word {place}: expected {word!r}, found {found!r}"
        if len(one.words) != len(other.words):
            expected = counted(len(one.words), "word")
            return f"sentence {one.id} ({_start_of(one)}): expected {expected}, found {len(other.words):,}"
    return "the end of the shorter file"


def _start_of(example: TaggedExample) -> str:
    return " ".join(example.words[:5]) + (" …" if len(example.words) > 5 else "")
