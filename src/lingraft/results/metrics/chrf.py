"""chrF: how much of the character n-grams of a text and of its reference are the same (Popović, 2015).

Character n-grams of one to six letters without blanks, recall counting twice (β = 2), precision and recall averaged
over the lengths that occur; over several texts, counts are added before. This is what sacreBLEU computes as ``chrF2``,
also of several references, of which the one counts that is best for its text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import Counts, Formula, Metric, formulas

ORDER = 6
"""The longest n-gram."""

BETA = 2
"""How much more recall counts than precision."""


def chrf(texts: Sequence[str], references: Sequence[str]) -> float:
    """Return the chrF of texts against a reference each, from 0 to 100.

    Args:
        texts: What was written.
        references: What should have been, as many.
    """
    counts = [_counts(text, reference) for text, reference in zip(texts, references, strict=True)]
    return 100 * float(_of_sums(np.array(counts, dtype=np.float64).sum(0)))


def chrf_metric() -> Metric:
    """Return chrF over examples, from 0 to 1, gold being a list of references."""
    return Metric(
        counts=lambda gold, predicted: _best(gold, predicted)[1],
        formula="chrf",
        right=lambda gold, predicted: float(_best(gold, predicted)[0] == 1),
    )


@formulas.register("chrf")
def chrf_formula() -> Formula:
    """Return chrF of three sums for each length of n-gram: written, expected, common."""
    return _of_sums


def _best(references: Sequence[str], text: str) -> tuple[float, Counts]:
    """Return the best score of a text, and what it adds to the sums with that reference; the first of equals."""
    if isinstance(references, str) or not references:
        raise ValueError(f"expected a list of references, at least one, not {references!r}")
    found = [_counts(text, reference) for reference in references]
    scores = [float(_of_sums(np.array(counts))) for counts in found]
    place = max(range(len(found)), key=lambda i: scores[i])
    return scores[place], found[place]


def _counts(text: str, reference: str) -> Counts:
    row: list[float] = []
    for length in range(1, ORDER + 1):
        found, wanted = _ngrams(text, length), _ngrams(reference, length)
        written = found.total() if wanted else 0  # nothing could have been right there
        row += [float(written), float(wanted.total()), float((found & wanted).total())]
    return tuple(row)


def _of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    written, expected, common = np.moveaxis(sums.reshape(*sums.shape[:-1], ORDER, 3), -1, 0)  # each [..., ORDER]
    counted = (written > 0) & (expected > 0)
    lengths = np.maximum(counted.sum(-1), 1)
    precision = np.where(counted, common / np.maximum(written, 1), 0).sum(-1) / lengths
    recall = np.where(counted, common / np.maximum(expected, 1), 0).sum(-1) / lengths
    below = BETA**2 * precision + recall
    return np.asarray(np.where(below > 0, (1 + BETA**2) * precision * recall / np.where(below > 0, below, 1), 0.0))


def _ngrams(text: str, length: int) -> Counter[str]:
    letters = "".join(text.split())
    return Counter(letters[i : i + length] for i in range(len(letters) - length + 1))
