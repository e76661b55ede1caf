"""Files of tagged words to score: CoNLL's columns, or the lines that ``lingraft predict`` writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..core.errors import DataError
from ..core.records import TaggedExample
from ..data.conll import tagged_examples, untagged_sentences
from ..data.table import read_table
from ..data.text import suffix_of
from .score_tables import PREDICTED, answer_column

ANY = "eng"
"""Readers want to know a language; scores do not depend on it."""

Check = Callable[[str], None] | None
"""Refuses a tag that is not of the scheme."""


def read_tags(
    predictions: Path, gold: Path, check: Check, columns: tuple[int, int] | None
) -> tuple[list[TaggedExample], list[TaggedExample]]:
    """Return the sentences that are right, and the same as they were predicted.

    Args:
        predictions: What was predicted: words in columns of which the last is the tag, or JSON lines.
        gold: What is right: words with their tags.
        check: Of each tag.
        columns: Word and tag of the gold file, from 0; by default it has these two.

    Raises:
        DataError: A file is not laid out so, or they are not the same sentences.
    """
    right = _tagged(gold, check, columns, predicted=False)
    guessed = _tagged(predictions, check, (columns[0], -1) if columns else None, predicted=True)
    if len(right) != len(guessed):
        raise DataError(
            f"{predictions}: has {len(guessed)} sentences, {gold} has {len(right)}; expected the same sentences in the "
            f"same order, parted by one empty line. They part at {_first_difference(right, guessed)}"
        )
    for one, other in zip(right, guessed, strict=True):
        if one.words != other.words:
            raise DataError(
                f"{predictions}: its words are not those of {gold} at {_first_difference([one], [other])}; predict one "
                "tag for each word of the gold file, whatever a tokenizer makes of it"
            )
    return right, guessed


def _tagged(path: Path, check: Check, columns: tuple[int, int] | None, *, predicted: bool) -> list[TaggedExample]:
    if suffix_of(path) in (".jsonl", ".ndjson"):
        return list(_tagged_lines(path, check))
    if columns is None and suffix_of(path) != ".conllu":
        width = _width(path)
        if width > 2 and not predicted:
            raise DataError(
                f"{path}: has {width} columns, which of them are word and tag? Say so with --columns 0,{width - 1}"
            )
        columns = (0, -1) if width > 2 else None
    return tagged_examples(path, language=ANY, columns=columns, check=check)


def _width(path: Path) -> int:
    """Return the number of columns of the first word; 0 where there is none."""
    return next((len(sentence.rows[0].cells) for sentence in untagged_sentences(path, language=ANY)), 0)


def _tagged_lines(path: Path, check: Check) -> Iterator[TaggedExample]:
    """Yield the sentences of JSON lines, but those without words."""
    for number, row in read_table(path):
        where = f"{path}, line {number}"
        words, column = row.get("words"), answer_column(row, ("tags", *PREDICTED))
        if not isinstance(words, list) or column is None:
            raise DataError(f"{where}: expected `words`, a list, and their tags in `label`; there are {', '.join(row)}")
        value = row[column]
        tags = value.split() if isinstance(value, str) else value
        if not isinstance(tags, list) or len(tags) != len(words):
            raise DataError(f"{where}: has {len(words)} words, {column!r} is {value!r:.60}; expected a tag for each")
        for word, tag in zip(words, tags, strict=True):
            try:
                if check is not None:
                    check(str(tag))
            except DataError as error:
                raise DataError(f"{where}, word {word!r}: {error}") from error
        if words:
            yield TaggedExample(
                id=str(number), group=str(number), language=ANY, words=tuple(words), tags=tuple(map(str, tags))
            )


def _first_difference(right: Sequence[TaggedExample], guessed: Sequence[TaggedExample]) -> str:
    for one, other in zip(right, guessed, strict=False):
        for place, (word, found) in enumerate(zip(one.words, other.words, strict=False), start=1):
            if word != found:
                return f"sentence {one.id}, word {place}: expected {word!r}, found {found!r}"
        if len(one.words) != len(other.words):
            return f"sentence {one.id} ({_start_of(one)}): expected {len(one.words)} words, found {len(other.words)}"
    return "the end of the shorter file"


def _start_of(example: TaggedExample) -> str:
    return " ".join(example.words[:5]) + (" …" if len(example.words) > 5 else "")
