"""A number for each text, or pair of texts: similarity, intensity, readability, with the task on one's own files.

Numbers are learnt by squared error, in units of the standard deviation of the source language's training numbers from
their mean; both are kept with what is learnt, and an answer is a number as the files have them. There is no
probability of an answer, so none is given, and nothing is withheld for want of one.

What is right of a text, and what is answered, travels as a string.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.amounts import Rate
from ...core.errors import DataError, shown
from ...core.examples import Example, PairExample
from ...core.records import Features, Prediction, Target
from ...data import languages
from ...data.cells import described, holds_one, is_missing, written
from ...data.example_tables import Wanted, check_fields, identified_rows
from ...data.table import cell_of, text_of
from ...results.metrics.numbers import metrics_of_numbers
from ...results.words import Words
from .. import Task, tasks
from ..files import Files, OwnFiles, own_fields, task_of_files, there
from ..labelling import Labelling
from . import Kind, kinds
from .classification import second_text, text_or_pair
from .items import Asked
from .text_rows import encode_texts

FIELDS = ("text", "text_b", "number", "id", "group")

LARGEST = 1e15
"""Number of either sign; files of results hold no larger ones."""

TOLERANCE = 0.5
"""By how many standard deviations of the training numbers an answer may be off and still be called near."""

DIGITS = 4
"""Of the standard deviation, that an answer is written with: rounding is not what errors come from."""


@dataclass(frozen=True, slots=True)
class NumberExample(PairExample):
    """One or two texts with a number, in ``label`` as it is written (``None`` where it is not known)."""

    def __post_init__(self) -> None:
        if self.label is not None and not abs(_parsed(self.label)) <= LARGEST:
            raise ValueError(f"label is {shown(self.label)}; expected a number, as a text")

    @property
    def labels(self) -> tuple[str, ...]:
        """None: numbers are no classes."""
        return ()

    @property
    def number(self) -> float | None:
        """The number, where it is known."""
        return None if self.label is None else float(self.label)


@kinds.register("regression")
def regression_kind(mean: float = 0.0, deviation: Rate = 1.0) -> Kind:
    """Give a number to each text, or pair of texts; those to learn from had this mean and standard deviation."""
    tolerance = TOLERANCE * deviation
    return Kind(
        name="regression",
        example=NumberExample,
        outputs=1,
        numeric=True,
        encode=partial(encode_numbers, mean=mean, deviation=deviation),
        collate=collate_numbers,
        loss=squared_error,
        decode=partial(decode_numbers, mean=mean, deviation=deviation),
        metrics=metrics_of_numbers(tolerance),
        options={"mean": mean, "deviation": deviation},
        columns=second_text,
        read_item=texts_of_item,
        details=number_given,
        words=Words(
            example="text",
            baseline="ridge regression on the frozen model's last-layer means",
            pipeline_tag="text-classification",
            wrong=f"off by more than {tolerance:.2g}",
            limit="The model gives a number whatever the text is, also one that is beyond all that it learnt from.",
        ),
    )


# ---- Texts to rows of tokens -----------------------------------------------------------------------


def encode_numbers(
    examples: Sequence[Example], tokenizer: Any, max_length: int, prefix: str, *, mean: float, deviation: float
) -> list[Features]:
    """Tokenise; the target is the number in standard deviations from the mean.

    Args:
        examples: What is read.
        tokenizer: Of the checkpoint.
        max_length: Tokens of a row at most, special tokens included.
        prefix: Put before each text.
        mean: Of the training numbers.
        deviation: Their standard deviation.
    """
    known = [example.number if isinstance(example, NumberExample) else None for example in examples]
    targets = [None if number is None else (number - mean) / deviation for number in known]
    features = encode_texts(examples, tokenizer, max_length, prefix)
    return [replace(feature, target=target) for feature, target in zip(features, targets, strict=True)]


def texts_of_item(item: Any, asked: Asked) -> NumberExample:
    """Read a text, or a pair of texts where the task has pairs.

    Raises:
        DataError: It is one where the other is taken, or empty.
    """
    read = text_or_pair(item, asked)
    return NumberExample(read.id, read.group, read.language, text_a=read.text_a, text_b=read.text_b)


# ---- Learning --------------------------------------------------------------------------------------


def collate_numbers(targets: Sequence[Target | None], length: int) -> Tensor:
    """Return the targets ``[R]``, NaN where none is known."""
    return torch.tensor([math.nan if target is None else target for target in targets], dtype=torch.float32)


def squared_error(logits: Tensor, targets: Tensor, mask: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
    """Return the weighted mean squared error.

    Args:
        logits: ``[R, 1]``.
        targets: ``[R]``, NaN where not known.
        mask: Not looked at.
        weights: Not looked at: there are no classes.
        rows: Weights of the rows, ``[R]``.
    """
    known = ~targets.isnan()
    errors = (logits[known, 0] - targets[known].to(logits)) ** 2
    counts = rows[known]
    return (counts * errors).sum() / counts.sum().clamp(min=torch.finfo(counts.dtype).tiny)


# ---- Rows to numbers -------------------------------------------------------------------------------


def decode_numbers(
    examples: Sequence[Example],
    features: Sequence[Features],
    logits: Sequence[Tensor],
    *,
    mean: float,
    deviation: float,
) -> list[Prediction]:
    """Return the number of each of ``N`` rows of logits ``[1]``, written with digits enough for the deviation.

    Args:
        examples: ``N``, in order.
        features: A row of each.
        logits: Of each row.
        mean: Of the training numbers.
        deviation: Their standard deviation.
    """
    digits = max(0, DIGITS - math.floor(math.log10(deviation)))
    numbers = [mean + deviation * float(row[0]) for row in logits]
    return [
        Prediction(example.id, example.language, f"{number:z.{digits}f}", None)
        for example, number in zip(examples, numbers, strict=True)
    ]


def number_given(prediction: Prediction) -> Mapping[str, Any]:
    """Return the answer as a number; none for a text that is empty."""
    return {"label": float(prediction.value) if prediction.value else None}


# ---- The task on one's own files -------------------------------------------------------------------


@tasks.register("regression")
def regression(
    *,
    source_language: str,
    target_languages: list[str],
    files: Files,
    fields: dict[str, str] | None = None,
    data_dir: Path = Path(),
    parallel: bool = False,
    title: str = "regression",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own texts, or pairs of texts, with a number each: JSONL, CSV, TSV or Parquet files.

    Args:
        source_language: Language of the labelled examples.
        target_languages: Languages to learn.
        files: Path of each split, with `{language}` in it or by language; or one path.
        fields: Column of each of `text`, `number`, and perhaps `text_b`, `id`, `group`, `language`, `split`.
        data_dir: Folder that the paths begin in.
        parallel: Whether examples of the same id translate each other.
        title: What the task is called.
        licence: Of the data.
        citation: Of the data.
    """
    columns, apart = own_fields(fields, {"text": "text", "number": "number"})

    def read(path: Path, language: str, wanted: Wanted | None, labelled: bool) -> Sequence[Example]:
        found = there(columns, ("number",), path, labelled=labelled)
        return numbered_texts(path, fields=found, language=language, labelled=labelled, wanted=wanted)

    own = OwnFiles(files, data_dir, languages.canonical(source_language), not target_languages, apart, read)
    return task_of_files(
        own,
        "regression",
        title,
        target_languages,
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups="group" in columns,
        labelling=fit_scale,
    )


def fit_scale(training: Sequence[Example], tell: Callable[[str], None]) -> Labelling:
    """Return the mean and the standard deviation of the training numbers, which the kind is built with.

    Raises:
        DataError: They are one number, or too far apart to be computed with.
    """
    numbers = np.array([example.number for example in training if isinstance(example, NumberExample)], dtype=float)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(numbers.mean()), float(numbers.std())
    if (numbers == numbers[0]).all():
        raise DataError(f"all {len(numbers):,} training numbers are {numbers[0]:g}; there is nothing to learn from")
    if not (0 < deviation < math.inf):
        low, high = numbers.min(), numbers.max()
        raise DataError(f"the training numbers, from {low:g} to {high:g}, cannot be computed with; give another scale")
    return Labelling(options={"mean": mean, "deviation": deviation})


def numbered_texts(
    path: Path | str,
    *,
    fields: Mapping[str, str],
    language: str,
    labelled: bool = True,
    wanted: Wanted | None = None,
) -> list[NumberExample]:
    """Read texts, or pairs of texts, with a number each.

    Args:
        path: A table, see :func:`~lingraft.data.table.read_table`.
        fields: Our name to the file's column: ``text``, ``number``, and perhaps ``text_b``, ``id`` and ``group``.
        language: In any spelling.
        labelled: Whether every text must have a number.
        wanted: Leave out rows of which this is not true.

    Raises:
        DataError: Something is wrong with the file or does not fit ``fields``.
    """
    check_fields(fields, FIELDS, ("text", *(["number"] if labelled else [])))
    code, found = languages.canonical(language), []
    for where, key, group, row in identified_rows(path, fields, wanted):
        text, second = (
            text_of(cell_of(row, fields[name], name, where), fields[name], where) if name in fields else ""
            for name in ("text", "text_b")
        )
        column = fields.get("number")
        cell = None if column is None else cell_of(row, column, "number", where)
        number = _number_of(cell, f"{where}: column {column!r}", required=labelled)
        found.append(NumberExample(key, group or key, code, text_a=text, text_b=second or None, label=number))
    return found


def _number_of(cell: object, where: str, *, required: bool) -> str | None:
    """Return a cell's number as it is written.

    Raises:
        DataError: It has none, or something else.
    """
    if is_missing(cell) or (isinstance(cell, str) and not cell.strip()):
        if required:
            raise DataError(f"{where} has no number; fill it in or remove the line")
        return None
    text = written(cell).strip() if holds_one(cell) else ""
    if not abs(_parsed(text)) <= LARGEST:
        comma = re.fullmatch(r"\s*([+-]?\d+),(\d+)\s*", text)
        meant = f"; did you mean {comma[1]}.{comma[2]}?" if comma else ""
        raise DataError(f"{where} holds {described(cell)}; expected a number below 1e15, written as 3.5 or -2{meant}")
    return text


def _parsed(text: str) -> float:
    """Return a number; NaN where a text is none. Python's underscores between digits are no part of one."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan
