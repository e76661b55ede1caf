"""A kind of task that lingraft does not have, with its task: how many stars a review gives.

Stars are in an order, so a review gets one score, and fixed thresholds on it say how many stars that is (McCullagh,
1980). All that lingraft needs to know of it is in this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lingraft.core.examples import Example
from lingraft.core.records import Features, Prediction
from lingraft.data.table import read_table
from lingraft.results.metrics import mean_of
from lingraft.results.words import Words
from lingraft.tasks import Task, tasks
from lingraft.tasks.building import task_of
from lingraft.tasks.kinds import Kind, kinds
from lingraft.tasks.kinds.classification import collate_classes
from lingraft.tasks.kinds.text_rows import encode_texts
from lingraft.tasks.own_files import files_reader


@dataclass(frozen=True, slots=True)
class ReviewExample(Example):
    """A review with its stars (none where they are not known)."""

    review: str = ""
    stars: int | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The review."""
        return (self.review,)

    @property
    def gold(self) -> str | None:
        """The stars."""
        return None if self.stars is None else str(self.stars)

    @property
    def labels(self) -> tuple[str, ...]:
        """The stars, where they are known."""
        return () if self.gold is None else (self.gold,)


@kinds.register("rating")
def rating_kind(labels: tuple[str, ...], *, steepness: float = 1.0) -> Kind:
    """Build the kind; ``labels`` are the numbers of stars, in order."""
    return Kind(
        name="rating",
        example=ReviewExample,
        labels=labels,
        outputs=1,
        encode=partial(encode_reviews, labels=labels),
        collate=collate_classes,
        loss=partial(rating_loss, steepness=steepness),
        decode=partial(decode_ratings, labels=labels, steepness=steepness),
        metrics={"closeness": mean_of(partial(closeness, most=len(labels) - 1)), "exact": mean_of(eq)},
        options={"steepness": steepness},
        one_class_each=True,
        columns=lambda example: {"letters": len(example.texts[0])},
        item_columns=("review",),
        words=Words(
            example="review",
            shot="review",
            per=" for each number of stars",
            baseline="one score on frozen states",
            item='{"review": "…"}',
            file="reviews.jsonl",
            limit="It always gives stars.",
        ),
    )


def encode_reviews(
    examples: Sequence[Example], tokenizer: Any, max_length: int, prefix: str, *, labels: Sequence[str]
) -> list[Features]:
    """Tokenise; the target is the number of the label."""
    features = encode_texts(examples, tokenizer, max_length, prefix)
    targets = [None if e.gold is None else labels.index(e.gold) for e in examples]
    return [replace(feature, target=target) for feature, target in zip(features, targets, strict=True)]


def probabilities(scores: Tensor, count: int, steepness: float) -> Tensor:
    """Scores ``[R, 1]`` to probabilities ``[R, count]`` of so many stars, by thresholds of equal distance."""
    thresholds = torch.arange(count - 1, device=scores.device) - (count - 2) / 2
    above = torch.sigmoid(steepness * (scores - thresholds))  # [R, count - 1]
    ends = scores.new_ones(len(scores), 1), scores.new_zeros(len(scores), 1)
    edges = torch.cat([ends[0], above, ends[1]], dim=1)
    return edges[:, :-1] - edges[:, 1:]


def rating_loss(
    logits: Tensor, targets: Tensor, mask: Tensor, weights: Tensor, rows: Tensor, *, steepness: float
) -> Tensor:
    """Weighted negative log-likelihood of the right stars: scores ``[R, 1]`` and classes ``[R]`` to a scalar."""
    known = targets >= 0
    gold = targets[known]
    counts = weights[gold] * rows[known]
    right = probabilities(logits[known], len(weights), steepness).gather(1, gold[:, None]).squeeze(1)
    return -(counts * right.clamp(min=1e-9).log()).sum() / counts.sum().clamp(min=1e-9)


def decode_ratings(
    examples: Sequence[Example],
    features: Sequence[Features],
    logits: Sequence[Tensor],
    *,
    labels: Sequence[str],
    steepness: float,
) -> list[Prediction]:
    """The likeliest stars of each review."""
    if not examples:
        return []
    sure, best = probabilities(torch.stack(list(logits)).float(), len(labels), steepness).max(1)
    rows = zip(examples, best.tolist(), sure.tolist(), strict=True)
    return [Prediction(example.id, example.language, labels[i], p) for example, i, p in rows]


def closeness(gold: str, predicted: str, *, most: int) -> float:
    """1 where the stars are right, 0 where they could not be further off."""
    return 1 - abs(int(gold) - int(predicted)) / most


@tasks.register("rating")
def rating(
    *,
    source_language: str,
    target_languages: list[str],
    files: dict[str, str],
    data_dir: Path = Path(),
    steepness: float = 1.0,
) -> Task:
    """Your own reviews with stars: tables with columns review and stars, `{language}` in their path."""

    def read(path: Path, language: str) -> list[Example]:
        return [
            ReviewExample(f"{number}", f"{number}", language, review=row["review"], stars=int(row["stars"]))
            for number, row in read_table(path)
        ]

    return task_of(
        kind="rating",
        options={"steepness": steepness},
        name="rating",
        source_language=source_language,
        target_languages=target_languages,
        read=files_reader(files, data_dir, source_language, read),
    )
