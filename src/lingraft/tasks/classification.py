"""Classification of one text or of a pair of texts, read from plain files through a field map.

A pair is one cross-encoded sequence, so that the layers can compare the two texts word by word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.languages import canonical
from ..data.table import locate, pair_examples
from ..errors import DataError
from ..metrics import accuracy, macro_f1
from ..records import Features, PairExample, Prediction
from . import Task, tasks

Split = Literal["train", "dev", "test"]

NO_LABEL = -100
"""Target of an example without a label; it takes no part in the loss."""


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
    source = canonical(source_language)
    targets = tuple(canonical(language) for language in target_languages)
    if not targets:
        raise DataError("task.target_languages is empty; name at least one language")
    if doubled := [code for code in targets if targets.count(code) > 1 or code == source]:
        raise DataError(f"task.target_languages names {doubled[0]} twice, or names the source language")
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
        kind="classification",
        labels=labels,
        source_language=source,
        target_languages=targets,
        examples=examples,
        encode=partial(encode_pairs, labels=labels),
        head=lambda width: nn.Linear(width, len(labels)),
        loss=cross_entropy,
        decode=partial(decode_labels, labels=labels),
        metrics={"accuracy": accuracy, "macro_f1": partial(macro_f1, labels=labels)},
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups=global_groups,
        notes=notes,
    )


def encode_pairs(
    examples: Sequence[PairExample], tokenizer: Any, max_length: int, prefix: str, *, labels: Sequence[str]
) -> list[Features]:
    """Tokenise; what does not fit is cut from the longer text first, and counted."""
    index = {label: i for i, label in enumerate(labels)}
    features: dict[int, Features] = {}
    for paired in (False, True):  # parallel sentences come without a second text, also where the task compares two
        rows = [i for i, example in enumerate(examples) if (example.text_b is not None) is paired]
        if not rows:
            continue
        first = [prefix + examples[i].text_a for i in rows]
        second = [examples[i].text_b for i in rows] if paired else None
        whole = tokenizer(first, second, truncation=False, verbose=False)["input_ids"]
        cut = tokenizer(first, second, truncation="longest_first", max_length=max_length)["input_ids"]
        for i, ids, full in zip(rows, cut, whole, strict=True):
            label = examples[i].label
            features[i] = Features(
                example_id=examples[i].id,
                input_ids=tuple(ids),
                target=None if label is None else index[label],
                truncated=len(full) - len(ids),
            )
    return [features[i] for i in range(len(examples))]


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Class-weighted cross-entropy: ``[B, C]``, ``[B]`` (``NO_LABEL`` left out), ``[C]`` to a scalar."""
    return F.cross_entropy(logits, targets, weight=weights, ignore_index=NO_LABEL)


def decode_labels(
    features: Sequence[Features], language: str, logits: Tensor, *, labels: Sequence[str]
) -> Iterator[Prediction]:
    """The likeliest label of each row of ``logits [N, C]``, with its probability."""
    probabilities = torch.softmax(logits.float(), dim=-1)
    confidence, best = probabilities.max(-1)
    for feature, p, i in zip(features, confidence.tolist(), best.tolist(), strict=True):
        yield Prediction(feature.example_id, language, labels[i], p)


def class_weights(targets: Sequence[int], classes: int, *, balanced: bool) -> Tensor:
    """Weights ``[C]`` of mean 1 over examples: inverse class frequency, as scikit-learn's ``balanced``."""
    if not balanced:
        return torch.ones(classes)
    counts = torch.bincount(torch.tensor(targets), minlength=classes).clamp(min=1)
    return len(targets) / (classes * counts.float())
