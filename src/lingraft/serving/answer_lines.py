"""Answers as lines: JSON, CSV or words in columns, each with all that the user gave."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import tee
from typing import Any, Literal, TextIO

from ..core.errors import DataError
from ..core.json_text import finite, to_json
from ..core.records import Prediction
from ..core.terminal_text import naming_output
from ..tasks.kinds import Kind
from .inputs import Given
from .predictor import Adapted

Format = Literal["jsonl", "csv", "conll"]

OURS = {"label": "prediction", "confidence": "prediction_confidence"}
"""What the answer and its probability are called, and what where the user's own columns have one of the names."""


def write_answers(
    stream: TextIO,
    given: Iterable[Given],
    adapted: Adapted,
    form: Format,
    *,
    columns: Sequence[str] = (),
    advance: Callable[[int], None] = lambda lines: None,
    head: TextIO | None = None,
    **options: Any,
) -> None:
    """Answer what is given, and write each answer as soon as it is there.

    Args:
        stream: Written to, and flushed after each line.
        given: What to answer, in order.
        adapted: What answers.
        form: Of the lines.
        columns: All that the user's rows have, where they may differ; by default those of the first row.
        advance: Called with the number of lines that were just written.
        head: Where the head of a CSV goes; by default before the answers.
        options: As :meth:`Adapted.answers` takes them.

    Raises:
        DataError: Something given is not what the task takes, or does not fit the head of the file.
    """
    for_answers, for_lines = tee(given)  # the second is never further behind than one chunk
    answers = adapted.answers(((one.where, one.item) for one in for_answers), **options)
    detected = adapted.resolve(options.get("language"))[0] is None
    write = writer_of(stream, form, adapted, columns, {**options, "detected": detected}, head=head)
    for one, answer in zip(for_lines, answers, strict=True):
        with naming_output():
            write(one, answer)
            stream.flush()
        advance(1)


def writer_of(
    stream: TextIO,
    form: Format,
    adapted: Adapted,
    columns: Sequence[str],
    options: Mapping[str, Any],
    *,
    head: TextIO | None = None,
) -> Callable[[Given, Prediction], None]:
    """Return what writes an answer; the arguments are those of :func:`write_answers`."""
    if form == "conll":
        if "conll" not in adapted.kind.file_shapes:
            raise DataError(
                f"--format conll: the run is for {adapted.kind.name}, whose answers are no tags of words; use jsonl"
            )
        return lambda one, answer: stream.write(_words_in_columns(one, answer))  # type: ignore[return-value]

    def row_of(one: Given, answer: Prediction) -> dict[str, Any]:
        found = answer_columns(answer, adapted.kind, adapted.identity.labels, options)
        own = {**dict.fromkeys(columns), **one.columns} if form == "csv" else one.columns
        return merged(own, found, one.where)

    if form == "csv":
        return _csv_writer(stream, head or stream, row_of)
    # What JSON has no word for (a date in a Parquet file) is written as text.
    return lambda one, answer: print(to_json(row_of(one, answer), default=str), file=stream)


def answer_columns(answer: Prediction, kind: Kind, labels: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a line says of an answer.

    Args:
        answer: The answer.
        kind: Of the task.
        labels: Its classes; where there are none, classes go by their number.
        options: Whether ``probabilities`` and to ``abstain`` were asked for, and whether its language was
            ``detected``.
    """
    found: dict[str, Any] = {"label": answer.value}
    if not kind.numeric:
        found["confidence"] = round(answer.confidence or 0.0, 4)
    if options.get("detected"):
        found["language"] = answer.language
    if options.get("abstain") is not None:
        found["abstained"] = answer.abstained
    if options.get("probabilities"):
        names = labels or tuple(map(str, range(len(answer.probabilities))))
        rounded = (round(one, 6) for one in answer.probabilities)
        found["probabilities"] = dict(zip(names, rounded, strict=False))  # of an empty text there are none
    return found | dict(kind.details(answer))


def merged(own: Mapping[str, Any], answer: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a row of the user's with an answer; no column of the user's is lost.

    Args:
        own: The row.
        answer: What is added, by our names: ``label`` and ``confidence`` first.
        where: The row, for messages.

    Raises:
        DataError: The row has both our names and those that we have instead.
    """
    pair = OURS if own.keys() & OURS.keys() else {}
    names = {name: pair.get(name) or (f"prediction_{name}" if name in own else name) for name in answer}
    if "words" in own and own["words"] == answer.get("words"):
        del names["words"]  # a sentence that was given as words
    twice = next((name for name in names.values() if name in own), None)
    if twice is not None:
        raise DataError(f"{where}: has a column {twice!r}, as the answer's would be called; rename it")
    return {**own, **{name: answer[ours] for ours, name in names.items()}}


def _csv_writer(
    stream: TextIO, head: TextIO, row_of: Callable[[Given, Prediction], dict[str, Any]]
) -> Callable[[Given, Prediction], None]:
    writer = csv.writer(stream)
    header: list[str] = []

    def write(one: Given, answer: Prediction) -> None:
        row = row_of(one, answer)
        if not header:
            header.extend(row)
            csv.writer(head).writerow(header)
        new = next((name for name in row if name not in header), None)
        if new is not None:
            raise DataError(
                f"{one.where}: has the column {new!r}, which no line before it had, and the head of the CSV is "
                "written by now; write JSON lines, with --format jsonl"
            )
        writer.writerow([_cell(row.get(name)) for name in header])

    return write


def _cell(value: Any) -> Any:
    """Return what a CSV cell holds of a value."""
    if isinstance(value, bool | list | tuple | dict):
        return to_json(value, default=str)
    return finite(value)


def _words_in_columns(one: Given, answer: Prediction) -> str:
    """Return a line for each word with its own columns and its tag, and an empty line; first the name it came with.

    Raises:
        DataError: A word has a tab or a line break in it.
    """
    cells = one.cells or tuple((word,) for word in answer.words)
    if any(set(cell) & set("\t\r\n") for row in cells for cell in row):
        raise DataError(f"{one.where}: a word has a tab or a line break in it, which columns cannot hold; use jsonl")
    tags = answer.value.split() or ["_"] * len(cells)
    name = f"# sent_id = {one.columns['id']}\n" if one.cells and "id" in one.columns else ""
    return name + "".join("\t".join((*row, tag)) + "\n" for row, tag in zip(cells, tags, strict=True)) + "\n"
