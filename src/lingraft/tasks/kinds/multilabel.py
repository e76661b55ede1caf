"""Several labels for each text, or none: topics of a message, with the task on one's own files.

Each label is a yes or no of its own (binary relevance: Tsoumakas and Katakis, 2007), learnt by binary cross-entropy. A
label is given where its log-odds are above a threshold, one for all labels, with which micro-F1 is best on development
data: one of each label's own would be chosen by the few texts that have it, and fit these (Fan and Lin, 2007).

What is right of a text travels as one string, its labels in sorted order with ``|`` between; empty where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...core.errors import DataError
from ...core.examples import Example
from ...core.records import Features, Prediction, Target
from ...data import languages
from ...data.cells import described, holds_one, is_missing, written
from ...data.example_tables import Wanted, check_fields, identified_rows
from ...data.labels import strip_label
from ...data.stored_names import named
from ...data.table import cell_of, text_of
from ...data.text import whole_characters
from ...results.metrics import Counts, Metric
from ...results.words import Words
from .. import Task, tasks
from ..files import Files, OwnFiles, own_fields, task_of_files, there
from ..labelling import Labels, labelling_of
from . import NO_LABEL, Kind, kinds, whole_answer
from .items import Asked, is_text
from .no_answer import between
from .text_rows import encode_texts

BETWEEN = "|"
"""Stands between the labels of a text."""

FIELDS = ("text", "labels", "id", "group")

WORDS = Words(
    example="text",
    baseline="a logistic regression for each label, on the frozen model's last-layer means",
    pipeline_tag="text-classification",
    limit="The model says yes or no to each of its labels, whatever the text is; it knows no others.",
)


@dataclass(frozen=True, slots=True)
class MultilabelExample(Example):
    """A text with its labels in sorted order: several, one or none; ``marks`` is None where they are not known."""

    text: str = ""
    marks: tuple[str, ...] | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The text."""
        return (self.text,)

    @property
    def gold(self) -> str | None:
        """The labels as one string, see :func:`join_labels`."""
        return None if self.marks is None else join_labels(self.marks)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, where they are known."""
        return self.marks or ()

    def with_labels(self, labels: tuple[str, ...]) -> MultilabelExample:
        """Return the same text with other labels, of which some may have become one."""
        return replace(self, marks=tuple(sorted(set(labels)))) if labels else self


def join_labels(labels: Sequence[str]) -> str:
    """Return labels as one string, in sorted order."""
    return BETWEEN.join(sorted(labels))


def split_labels(value: str) -> tuple[str, ...]:
    """Return the labels of such a string."""
    return tuple(value.split(BETWEEN)) if value else ()


@kinds.register("multilabel")
def multilabel_kind(labels: Sequence[str]) -> Kind:
    """Any of ``labels`` for each text. The outputs are the log-odds of each, and the threshold behind them."""
    labels = tuple(labels)
    return Kind(
        name="multilabel",
        example=MultilabelExample,
        labels=labels,
        outputs=len(labels) + 1,
        head="thresholded",
        label_logits=True,
        encode=partial(encode_marked, labels=labels),
        collate=partial(collate_marks, count=len(labels)),
        loss=label_cross_entropy,
        decode=partial(decode_marks, labels=labels),
        metrics={"micro_f1": micro_f1, "macro_f1": label_macro_f1(labels)},
        choose_threshold=partial(best_f1_threshold, labels=labels),
        answers=lambda value: split_labels(value) or ("",),
        read_item=text_of_item,
        finish=without_labels_where_unsure,
        details=labels_given,
        probabilities=label_probabilities,
        words=WORDS,
    )


# ---- Texts to rows of tokens -----------------------------------------------------------------------


def encode_marked(
    examples: Sequence[Example], tokenizer: Any, max_length: int, prefix: str, *, labels: Sequence[str]
) -> list[Features]:
    """Tokenise; the target says of each label whether the text has it, and of unknown labels nothing.

    Args:
        examples: What is read.
        tokenizer: Of the checkpoint.
        max_length: Tokens of a row at most, special tokens included.
        prefix: Put before each text.
        labels: In the order of the outputs.
    """
    features = encode_texts(examples, tokenizer, max_length, prefix)
    known = [example.marks if isinstance(example, MultilabelExample) else None for example in examples]
    targets = [None if marks is None else tuple(int(label in marks) for label in labels) for marks in known]
    return [replace(feature, target=target) for feature, target in zip(features, targets, strict=True)]


def text_of_item(item: Any, asked: Asked) -> MultilabelExample:
    """Read a text.

    Raises:
        DataError: It is something else, or empty.
    """
    if not is_text(item):
        raise asked.refused("a text", item)
    return MultilabelExample(**asked.identity, text=item)


# ---- Learning --------------------------------------------------------------------------------------


def collate_marks(targets: Sequence[Target | None], length: int, *, count: int) -> Tensor:
    """Return 1 for each label that a row has and 0 for the others, ``[R, L]``; ``NO_LABEL`` where none is known."""
    unknown = (NO_LABEL,) * count
    return torch.tensor([unknown if target is None else target for target in targets])


def label_cross_entropy(logits: Tensor, targets: Tensor, mask: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
    """Return binary cross-entropy, the mean over labels of each row and the weighted mean over rows.

    Args:
        logits: ``[R, L + 1]``; the threshold takes no part.
        targets: ``[R, L]`` of 0 and 1, ``NO_LABEL`` where the labels of a row are not known.
        mask: Not looked at.
        weights: Of the labels, ``[L]``.
        rows: Weights of the rows, ``[R]``.
    """
    known = (targets != NO_LABEL).all(-1)
    losses = F.binary_cross_entropy_with_logits(
        logits[known, :-1], targets[known].to(logits), weight=weights / weights.mean(), reduction="none"
    )
    counts = rows[known]
    return (counts * losses.mean(-1)).sum() / counts.sum().clamp(min=torch.finfo(counts.dtype).tiny)


def best_f1_threshold(
    examples: Sequence[Example], features: Sequence[Features], logits: Sequence[Tensor], *, labels: Sequence[str]
) -> float:
    """Return the threshold on log-odds with the best micro-F1; of several ranges the one nearest to 0.

    Args:
        examples: ``N`` texts of known labels, in order.
        features: A row of each.
        logits: ``[L + 1]`` of each row.
        labels: In the order of the outputs.
    """
    scores = torch.stack(list(logits))[:, :-1].double().flatten().numpy()
    right = np.array([label in example.labels for example in examples for label in labels])
    order = np.argsort(-scores, kind="stable")
    falling, gold = scores[order], max(1, int(right.sum()))
    # With the threshold below place i, the first i of the labels are given.
    f1 = np.concatenate([[0.0], 2 * np.cumsum(right[order]) / (np.arange(1, len(order) + 1) + gold)])
    bounds = np.concatenate([[np.inf], falling, [-np.inf]])
    usable = bounds[1:] < bounds[:-1]  # equal log-odds are on one side
    best = f1[usable].max()
    ranges = [(bounds[i + 1], bounds[i]) for i in np.flatnonzero(usable) if f1[i] >= best - 1e-12]
    return min((between(low, high) for low, high in ranges), key=abs)


# ---- Rows to labels --------------------------------------------------------------------------------


def decode_marks(
    examples: Sequence[Example], features: Sequence[Features], logits: Sequence[Tensor], *, labels: Sequence[str]
) -> list[Prediction]:
    """Return the labels whose log-odds are above the threshold; the confidence is the probability of just these.

    That is the product of the probabilities that each label is given, or not, as it was.

    Args:
        examples: ``N``, in order.
        features: A row of each.
        logits: ``[L + 1]`` of each row, the threshold last.
        labels: In the order of the outputs.
    """
    found = []
    for example, row in zip(examples, logits, strict=True):
        odds, given = row[:-1].double(), row[:-1] > row[-1]
        confidence = torch.where(given, F.logsigmoid(odds), F.logsigmoid(-odds)).sum().exp().item()
        marks = tuple(sorted(label for label, one in zip(labels, given.tolist(), strict=True) if one))
        found.append(Prediction(example.id, example.language, join_labels(marks), confidence, labels=marks))
    return found


def label_probabilities(features: Sequence[Features], logits: Sequence[Tensor]) -> list[list[float]]:
    """Return the probability of each label, ``[N, L]``; each by itself, so that they do not add up to 1."""
    found: list[list[float]] = [torch.sigmoid(row[:-1].double()).tolist() for row in logits]
    return found


def without_labels_where_unsure(item: Any, prediction: Prediction, abstain: float | None) -> Prediction:
    """Return the prediction, without its labels where these are less probable than ``abstain``."""
    found = whole_answer(item, prediction, abstain)
    return replace(found, labels=()) if found.abstained else found


def labels_given(prediction: Prediction) -> Mapping[str, Any]:
    """Return the labels as a list."""
    return {"labels": list(prediction.labels)}


# ---- Metrics ---------------------------------------------------------------------------------------


def _common(gold: str, predicted: str) -> Counts:
    right, given = set(split_labels(gold)), set(split_labels(predicted))
    return float(len(right & given)), float(len(given)), float(len(right))


def _all_right(gold: str, predicted: str) -> float:
    return float(set(split_labels(gold)) == set(split_labels(predicted)))


micro_f1 = Metric(_common, "f1", _all_right)
"""F1 of the labels of all texts together; a prediction is right where its labels are just those of the text."""


def label_macro_f1(labels: Sequence[str]) -> Metric:
    """Return the mean over ``labels`` of the F1 of each; one that neither occurs nor is given has 0."""

    def counts(gold: str, predicted: str) -> Counts:
        right, given = split_labels(gold), split_labels(predicted)
        return tuple(
            float(one)
            for label in labels
            for one in (label in right and label in given, label in given, label in right)
        )

    return Metric(counts, "macro_f1", _all_right)


# ---- The task on one's own files -------------------------------------------------------------------


@tasks.register("multilabel")
def multilabel(
    *,
    source_language: str,
    target_languages: list[str],
    files: Files,
    fields: dict[str, str] | None = None,
    data_dir: Path = Path(),
    separator: Literal["|", ";", ","] = "|",
    parallel: bool = False,
    allow_unseen_labels: bool = False,
    labels: Labels = "as_written",
    title: str = "multilabel",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own texts with several labels each, or none: a table with the labels of a text in one cell.

    Args:
        source_language: Language of the labelled examples.
        target_languages: Languages to learn.
        files: Path of each split, with `{language}` in it or by language; or one path.
        fields: Column of each of `text`, `labels`, and perhaps `id`, `group`, `language`, `split`.
        data_dir: Folder that the paths begin in.
        separator: What stands between the labels of a cell that is no list.
        parallel: Whether examples of the same id translate each other.
        allow_unseen_labels: Whether a target may lack some labels, or have others in its test set.
        labels: `normalise` merges spellings that differ in case, normal form or blanks; or names of numbers, from 0.
        title: What the task is called.
        licence: Of the data.
        citation: Of the data.
    """
    columns, apart = own_fields(fields, {"text": "text", "labels": "labels"})
    texts_of = partial(marked_texts, separator=separator, names=() if isinstance(labels, str) else labels)

    def read(path: Path, language: str, wanted: Wanted | None, labelled: bool) -> Sequence[Example]:
        found = there(columns, ("labels",), path, labelled=labelled)
        return texts_of(path, fields=found, language=language, labelled=labelled, wanted=wanted)

    own = OwnFiles(files, data_dir, languages.canonical(source_language), not target_languages, apart, read)
    return task_of_files(
        own,
        "multilabel",
        title,
        target_languages,
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups="group" in columns,
        allow_unseen_labels=allow_unseen_labels,
        labelling=labelling_of(labels),
    )


def marked_texts(
    path: Path | str,
    *,
    fields: Mapping[str, str],
    language: str,
    separator: str = BETWEEN,
    names: Sequence[str] = (),
    labelled: bool = True,
    wanted: Wanted | None = None,
) -> list[MultilabelExample]:
    """Read texts with the labels of each, which a list or one cell holds; an empty one says that there are none.

    Args:
        path: A table, see :func:`~lingraft.data.table.read_table`.
        fields: Our name to the file's column: ``text``, ``labels``, and perhaps ``id`` and ``group``.
        language: In any spelling.
        separator: What stands between the labels of a cell that is no list.
        names: Of labels that are numbers, from 0; by default those stored with them.
        labelled: Whether labels must be there; if not, and no text has any, they are not known.
        wanted: Leave out rows of which this is not true.

    Raises:
        DataError: Something is wrong with the file or does not fit ``fields``.
    """
    check_fields(fields, FIELDS, ("text", *(["labels"] if labelled else [])))
    code, column = languages.canonical(language), fields.get("labels")
    found = []
    for where, key, group, row in identified_rows(path, fields, wanted):
        text = text_of(cell_of(row, fields["text"], "text", where), fields["text"], where)
        cell = None if column is None else cell_of(row, column, "labels", where)
        marks = _labels_of(cell, separator, names, f"{where}: column {column!r}")
        found.append(MultilabelExample(key, group or key, code, text=text, marks=marks))
    if any(example.marks for example in found):
        return found
    if labelled:
        raise DataError(
            f"{path}: no text has a label in column {column!r}; fill some in, with {separator!r} between them or as a "
            "list, or name another column with fields: {labels: …}"
        )
    return [replace(example, marks=None) for example in found]


def _labels_of(cell: object, separator: str, names: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the labels of a cell, each once, in sorted order."""
    alone: list[object] = [] if is_missing(cell) else [cell]
    listed = cell.split(separator) if isinstance(cell, str) else cell if isinstance(cell, list) else alone
    found = set()
    for one in listed:
        if not holds_one(one) or is_missing(one):
            raise DataError(f"{where} holds {described(one)} among its labels; expected texts or numbers")
        label = whole_characters(strip_label(written(named(one, names))), where)
        if BETWEEN in label:
            raise DataError(
                f"{where} has the label {label!r}, and {BETWEEN} stands between the labels of an answer; write it "
                f"otherwise or, where it parts labels, set `separator: '{BETWEEN}'` in the task block"
            )
        found.add(label)
    return tuple(sorted(found - {""}))
