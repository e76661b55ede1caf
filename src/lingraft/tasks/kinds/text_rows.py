"""Texts and pairs of texts as rows of tokens: what parallel sentences are in every kind of task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...backbones.markers import LINE_BREAK, markers_of
from ...core.examples import Example
from ...core.records import Features


def encode_texts(examples: Sequence[Example], tokenizer: Any, max_length: int, prefix: str) -> list[Features]:
    """Tokenise examples of one text or two, without targets; what does not fit is cut from the longer, and counted.

    Two texts that the tokenizer would glue together have a line break between them.

    Args:
        examples: What is read.
        tokenizer: Of the checkpoint.
        max_length: Tokens of a row at most, special tokens included.
        prefix: Put before each text.
    """
    features: dict[int, Features] = {}
    for paired in (False, True):  # parallel sentences come without a second text, also where the task compares two
        rows = [i for i, example in enumerate(examples) if (len(example.texts) > 1) is paired]
        if not rows:
            continue
        first = [prefix + examples[i].texts[0] for i in rows]
        separator = separator_of(tokenizer) if paired else ""
        second = [separator + examples[i].texts[1] for i in rows] if paired else None
        whole = tokenizer(first, second, truncation=False, verbose=False)["input_ids"]
        cut = tokenizer(first, second, truncation="longest_first", max_length=max_length)["input_ids"]
        for i, ids, full in zip(rows, cut, whole, strict=True):
            features[i] = Features(examples[i].id, tuple(ids), truncated=len(full) - len(ids))
    return [features[i] for i in range(len(examples))]


def separator_of(tokenizer: Any) -> str:
    """Return what stands before the second of two texts: a line break where the tokenizer would glue them together."""
    return "" if markers_of(tokenizer).between else LINE_BREAK
