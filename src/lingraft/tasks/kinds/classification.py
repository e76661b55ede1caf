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

from ...core.records import Features, Prediction
from ...results.metrics import accuracy, macro_f1
from . import NO_LABEL, Kind, kinds
from .text_rows import encode_texts


@kinds.register("classification")
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
        metrics={"accuracy": accuracy, "macro_f1": macro_f1(labels)},
        options={},
    )


def encode_pairs(
    examples: Sequence[Any], tokenizer: Any, max_length: int, prefix: str, *, labels: Sequence[str]
) -> list[Features]:
    """Tokenise; what does not fit is cut from the longer text first, and counted. An unknown label gives no target."""
    index = {label: i for i, label in enumerate(labels)}
    features = encode_texts(examples, tokenizer, max_length, prefix)
    targets = [None if example.label is None else index.get(example.label) for example in examples]
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
