"""Wrong labels on purpose, to see how many of them what is learnt bears."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.examples import Example
from ..data.sampling import rank


def add_label_noise(examples: Sequence[Example], share: float, classes: Sequence[str], draw: int) -> list[Example]:
    """Return examples of which a share has another class, each other class as likely; the draw decides which.

    Args:
        examples: With one class each.
        share: Of the examples, to the nearest whole number.
        classes: Those of the task, two at least.
        draw: Number of the draw.
    """
    ranked = sorted(examples, key=lambda example: rank(draw, "label noise", example.id))
    chosen = {example.id for example in ranked[: round(share * len(examples))]}
    return [_mislabelled(example, classes, draw) if example.id in chosen else example for example in examples]


def _mislabelled(example: Example, classes: Sequence[str], draw: int) -> Example:
    others = [name for name in classes if (name,) != example.labels]
    return example.with_labels((min(others, key=lambda name: rank(draw, "wrong label", f"{example.id}/{name}")),))
