"""Classification of one text or of a pair of texts.

A pair is one cross-encoded sequence, so that the layers can compare the two texts word by word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...core.errors import ConfigError, DataError
from ...core.examples import Example, PairExample
from ...core.records import Features, Prediction
from ...results.metrics import accuracy, macro_f1
from ...results.metrics.ordinal import metrics_of_scale
from ...results.words import Words
from . import NO_LABEL, Kind, kinds
from .items import Asked
from .prompted import Prompted
from .text_rows import encode_texts

WORDS = Words(
    example="text",
    shot="shot",
    per=" per label",
    baseline="logistic regression on the frozen model's last-layer means",
    pipeline_tag="text-classification",
    limit='The model chooses among its labels, whatever the text is; it has no answer for "none of these".',
)


@kinds.register("classification")
def classification_kind(labels: Sequence[str], order: Sequence[str] | None = None) -> Kind:
    """One of ``labels`` for each text, or pair of texts; where they are a scale, ``order`` has them, the lowest first.

    Labels that are a scale are learnt as others are, and scored by Spearman's rank correlation and by quadratically
    weighted kappa.

    Raises:
        ConfigError: The order is of other labels.
    """
    if order is not None and sorted(order) != sorted(labels):
        raise ConfigError([f"task.order: {', '.join(order)} are not the labels, each once"])
    labels = tuple(order or labels)
    return Kind(
        name="classification",
        example=PairExample,
        labels=labels,
        outputs=len(labels),
        encode=partial(encode_pairs, labels=labels),
        collate=collate_classes,
        loss=cross_entropy,
        decode=partial(decode_labels, labels=labels),
        metrics={"accuracy": accuracy, "macro_f1": macro_f1(labels)} if order is None else metrics_of_scale(labels),
        options={} if order is None else {"order": labels},
        one_class_each=True,
        class_logits=True,
        columns=second_text,
        read_item=text_or_pair,
        probabilities=class_probabilities,
        prompted=Prompted(fields=texts_by_name, texts=("text", "text_b"), answer="label"),
        words=WORDS,
    )


def encode_pairs(
    examples: Sequence[Any], tokenizer: Any, max_length: int, prefix: str, *, labels: Sequence[str]
) -> list[Features]:
    """Tokenise; what does not fit is cut from the longer text first, and counted. An unknown label gives no target.

    Args:
        examples: What is read.
        tokenizer: Of the checkpoint.
        max_length: Tokens of a row at most, special tokens included.
        prefix: Put before each text.
        labels: In the order of their classes.
    """
    index = {label: i for i, label in enumerate(labels)}
    features = encode_texts(examples, tokenizer, max_length, prefix)
    targets = [None if example.label is None else index.get(example.label) for example in examples]
    return [replace(feature, target=target) for feature, target in zip(features, targets, strict=True)]


def collate_classes(targets: Sequence[Any], length: int) -> Tensor:
    """Return class indices ``[R]``; the length of the rows does not matter."""
    return torch.tensor([NO_LABEL if target is None else target for target in targets])


def cross_entropy(logits: Tensor, targets: Tensor, mask: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
    """Return weighted cross-entropy: ``[R, C]``, ``[R]`` (``NO_LABEL`` left out), ``[C]``, ``[R]`` to a scalar.

    Args:
        logits: ``[R, C]``.
        targets: ``[R]``, ``NO_LABEL`` where not known.
        mask: Not looked at.
        weights: Of the classes, ``[C]``.
        rows: Weights of the rows, ``[R]``.
    """
    known = targets != NO_LABEL
    counts = weights[targets[known]] * rows[known]
    losses = F.cross_entropy(logits[known], targets[known], reduction="none")
    return (counts * losses).sum() / counts.sum()


def decode_labels(
    examples: Sequence[Any], features: Sequence[Features], logits: Sequence[Tensor], *, labels: Sequence[str]
) -> list[Prediction]:
    """Return the likeliest label of each of ``N`` rows of logits ``[C]``, with its probability.

    Args:
        examples: ``N``, in order.
        features: All rows of the examples, one example after the other.
        logits: Of each row.
        labels: In the order of their classes.
    """
    if not examples:
        return []
    confidence, best = torch.softmax(torch.stack(list(logits)).float(), dim=-1).max(-1)
    return [
        Prediction(example.id, example.language, labels[i], p)
        for example, p, i in zip(examples, confidence.tolist(), best.tolist(), strict=True)
    ]


def class_probabilities(features: Sequence[Features], logits: Sequence[Tensor]) -> list[list[float]]:
    """Return the probabilities of all classes of each of ``N`` rows of logits ``[C]``."""
    found: list[list[float]] = torch.softmax(torch.stack(list(logits)).float(), dim=-1).tolist() if logits else []
    return found


def texts_by_name(example: Example) -> dict[str, str]:
    """Return the texts as a prompt template names them."""
    return dict(zip(("text", "text_b"), example.texts, strict=False))


def second_text(example: Example) -> dict[str, Any]:
    """Return the second text of a pair; None where there is one text."""
    return {"text_b": example.texts[1] if len(example.texts) > 1 else None}


def text_or_pair(item: Any, asked: Asked) -> PairExample:
    """Read a text, or a pair of texts where the task has pairs.

    Raises:
        DataError: It is one where the other is taken, or empty.
    """
    texts = (item,) if isinstance(item, str) else item
    known = isinstance(texts, tuple) and len(texts) in (1, 2) and all(isinstance(text, str) for text in texts)
    a, b = (*texts, None)[:2] if known else (None, None)
    if a is None or (b is not None) is not asked.paired:
        got = "one text" if isinstance(item, str) else "a pair" if known else repr(item)[:60]
        takes = "pairs (text, text)" if asked.paired else "one text"
        raise DataError(f"{asked.where}: {asked.task} takes {takes}, got {got}")
    if not a.strip():
        raise DataError(f"{asked.where} is empty; leave it out or give a text")
    return PairExample(**asked.identity, text_a=a, text_b=b)


def class_weights(targets: Sequence[int], classes: int, *, balanced: bool) -> Tensor:
    """Return weights ``[C]`` of mean 1 over examples: inverse class frequency, as scikit-learn's ``balanced``."""
    if not balanced:
        return torch.ones(classes)
    counts = torch.bincount(torch.tensor(targets), minlength=classes).clamp(min=1)
    return len(targets) / (classes * counts.float())
