"""chrF: how much of the character n-grams of a text and of its reference are the same (Popović, 2015).

Character n-grams of one to six letters without blanks, recall counting twice (β = 2), precision and recall averaged
over the lengths that occur; over several texts, counts are added before. This is what sacreBLEU computes as ``chrF2``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

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
    precisions, recalls = [], []
    for length in range(1, ORDER + 1):
        written = expected = common = 0
        for text, reference in zip(texts, references, strict=True):
            found, wanted = _ngrams(text, length), _ngrams(reference, length)
            written += found.total() if wanted else 0  # nothing could have been right there
            expected += wanted.total()
            common += (found & wanted).total()
        if written and expected:
            precisions.append(common / written)
            recalls.append(common / expected)
    if not sum(precisions):
        return 0.0
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def _ngrams(text: str, length: int) -> Counter[str]:
    letters = "".join(text.split())
    return Counter(letters[i : i + length] for i in range(len(letters) - length + 1))
