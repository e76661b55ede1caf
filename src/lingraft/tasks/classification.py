"""Classification of one text or of a pair of texts, read from plain files through a field map.

A pair is one cross-encoded sequence, so that the layers can compare the two texts word by word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.languages import canonical
from ..data.table import locate, pair_examples
from ..errors import DataError
from ..metrics import accuracy, macro_f1
from ..records import Features, PairExample, Prediction
from . import Task, checked_languages, tasks
from .kinds import NO_LABEL, Kind
from .plain_text import encode_texts

Split = Literal["train", "dev", "test"]


@tasks.register("classification")
def classification(
    *,
    source_language: str,
    target_languages: list[str],
    files: dict[Split, str],
    fields: dict[str, str] | None = None,
    data_dir: Path = Path(),
    parallel: bool = False,
    title: str = "classification",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own texts with labels: JSONL, CSV, TSV or Parquet files with `{language}` in their path."""
    columns = fields or {"text": "text", "label": "label"}

    def read(language: str, split: str) -> list[PairExample]:
        pattern = files.get(split)  # type: ignore[call-overload]
        if pattern is None:
            raise DataError(f"task.files has no {split!r} entry; it has {', '.join(files)}")
        if language != canonical(source_language) and "{language}" not in pattern:
            raise DataError(
                f"task.files.{split}: {pattern!r} has no {{language}} in it, so every language would be read from the "
                "same file; put {language} where the names of your files tell the languages apart"
            )
        try:
            path = locate(pattern, language, data_dir)
        except DataError:
            # The source language is learnt from; being tested on it, or having its own dev file, is a bonus.
            if language == canonical(source_language) and split != "train":
                return []
            raise
        return pair_examples(path, fields=columns, language=language)

    splits = tuple(split for split in ("train", "dev", "test") if split in files)
    return classification_task(
        name=title,
        source_language=source_language,
        target_languages=target_languages,
        read=read,
        splits=splits,
        parallel=parallel,
        global_groups="group" in columns,
        licence=licence,
        citation=citation,
    )


def classification_task(
    *,
    name: str,
    source_language: str,
    target_languages: Sequence[str],
    read: Callable[[str, str], list[PairExample]],
    licence: str,
    citation: str,
    splits: Sequence[str] = ("train", "dev", "test"),
    parallel: bool = False,
    global_groups: bool = False,
    notes: tuple[str, ...] = (),
) -> Task:
    """Build a classification :class:`Task` from a function that reads a language's split.

    The labels are those of the source language's training set; any other label, in any split that
    is read, is an error that names it.
    """
    source, targets = checked_languages(source_language, target_languages)
    training = read(source, "train")
    labels = tuple(sorted({str(example.label) for example in training}))
    if len(labels) < 2:
        raise DataError(
            f"{name}: the {source} training set has the one label {labels[0]!r}; there is nothing to tell apart"
        )

    @cache
    def examples(language: str, split: str) -> list[PairExample]:
        if split not in splits:
            return []
        found = training if (language, split) == (source, "train") else read(language, split)
        for example in found:
            if example.label is not None and example.label not in labels:
                raise DataError(
                    f"{name}, {language} {split}, id {example.id}: label {example.label!r} does not occur in the "
                    f"{source} training set, which has {', '.join(labels)}; correct it, or add training examples"
                )
        return found

    return Task(
        name=name,
        kind=classification_kind(labels),
        source_language=source,
        target_languages=targets,
        examples=examples,
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups=global_groups,
        notes=notes,
    )


def classification_kind(labels: Sequence[str]) -> Kind:
    """One of ``labels`` for each text, or pair of texts."""
    labels = tuple(labels)
    return Kind(
        name="classification",
        labels=labels,
        outputs=len(labels),
        per_token=False,
        encode=partial(encode_pairs, labels=labels),
        collate=collate_classes,
        loss=cross_entropy,
        decode=partial(decode_labels, labels=labels),
        metrics={"accuracy": accuracy, "macro_f1": partial(macro_f1, labels=labels)},
        options={},
    )


def encode_pairs(
    examples: Sequence[Any], tokenizer: Any, max_length: int, prefix: str, *, labels: Sequence[str]
) -> list[Features]:
    """Tokenise; what does not fit is cut from the longer text first, and counted."""
    index = {label: i for i, label in enumerate(labels)}
    features = encode_texts(examples, tokenizer, max_length, prefix)
    targets = [None if example.label is None else index[example.label] for example in examples]
    return [replace(feature, target=target) for feature, target in zip(features, targets, strict=True)]


def collate_classes(targets: Sequence[Any], length: int) -> Tensor:
    """Class indices ``[R]``; the length of the rows does not matter."""
    return torch.tensor([NO_LABEL if target is None else target for target in targets])


def cross_entropy(logits: Tensor, targets: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """Class-weighted cross-entropy: ``[R, C]``, ``[R]`` (``NO_LABEL`` left out), ``[C]`` to a scalar."""
    return F.cross_entropy(logits, targets, weight=weights, ignore_index=NO_LABEL)


def decode_labels(
    examples: Sequence[Any], features: Sequence[Features], logits: Sequence[Tensor], *, labels: Sequence[str]
) -> list[Prediction]:
    """The likeliest label of each of ``N`` rows of logits ``[C]``, with its probability."""
    if not examples:
        return []
    confidence, best = torch.softmax(torch.stack(list(logits)).float(), dim=-1).max(-1)
    return [
        Prediction(example.id, example.language, labels[i], p)
        for example, p, i in zip(examples, confidence.tolist(), best.tolist(), strict=True)
    ]


def class_weights(targets: Sequence[int], classes: int, *, balanced: bool) -> Tensor:
    """Weights ``[C]`` of mean 1 over examples: inverse class frequency, as scikit-learn's ``balanced``."""
    if not balanced:
        return torch.ones(classes)
    counts = torch.bincount(torch.tensor(targets), minlength=classes).clamp(min=1)
    return len(targets) / (classes * counts.float())
