"""The surest of each class: one threshold for all would leave the classes out that a model is never sure of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence


def surest_of_each(classes: Sequence[Hashable], confidences: Sequence[float], share: float) -> list[int]:
    """Return the numbers of the most confident items of each class, in their order.

    Args:
        classes: Of ``N`` items.
        confidences: Of the same; of equal ones the first come first.
        share: Of each class so much is kept, rounded up.
    """
    room = {one: math.ceil(share * count - 1e-9) for one, count in Counter(classes).items()}
    kept = []
    for number in sorted(range(len(classes)), key=lambda number: -confidences[number]):
        if room[classes[number]]:
            room[classes[number]] -= 1
            kept.append(number)
    return sorted(kept)


def drift(first: Iterable[Hashable], now: Iterable[Hashable]) -> float:
    """Return how far the shares of classes have moved (total variation): 0 for not at all, 1 where none is shared.

    Nothing at all has moved from nothing at all, and wholly from anything else.
    """
    before, after = Counter(first), Counter(now)
    if not before or not after:
        return float(before != after)
    return sum(abs(before[one] / before.total() - after[one] / after.total()) for one in before | after) / 2
