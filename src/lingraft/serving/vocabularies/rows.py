"""Word embeddings of new pieces, in closed form: of what their translations are made of, or drawn like those there are.

A sentence and its translation mean the same, so the mean of one's rows should be that of the other's: ridge regression
of the source sides' mean rows on how often each new piece stands in the target sides, its strength chosen by the exact
leave-one-out error. What it gives are directions; each is made as long as rows are on the average, so that a word
stands out from its position as other words do. Pieces of no translation are drawn from the normal distribution with
the mean and covariance of all rows (Hewitt, 2021), so no two are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.threads import one_thread
from ...model.kernel_ridge import fit_ridge

Numbers = NDArray[Any]

Ids = Sequence[Sequence[int]]
"""Token ids of texts."""


def initial_rows(words: Numbers, sources: Ids, targets: Ids, count: int) -> Numbers:
    """Return rows for new pieces, whose ids go on from those that there are.

    Args:
        words: The rows that there are, ``[V, H]``.
        sources: Of translations, the source sides, none of them empty.
        targets: Their target sides, with new pieces in them.
        count: ``K``, how many pieces are new.

    Returns:
        ``[K, H]``, the same for the same input.
    """
    with one_thread():
        rows = drawn_rows(words, count)
        shares = np.array([_shares(ids, len(words), count) for ids in targets]).reshape(-1, count)
        used = np.flatnonzero(shares.any(1))
        if len(used):
            means = np.array([words[list(sources[place])].mean(0) for place in used.tolist()])
            found = np.flatnonzero(shares.any(0))
            rows[found] = translated_rows(words, means, shares[np.ix_(used, found)])
    return rows


def drawn_rows(words: Numbers, count: int) -> Numbers:
    """Draw rows ``[K, H]`` from the normal distribution with the mean and covariance of others, ``[V, H]``."""
    mean = words.mean(0)
    centred = words - mean
    values, vectors = np.linalg.eigh((centred.T @ centred / len(words)).astype(np.float64))
    normal = np.random.default_rng(0).standard_normal((count, len(mean)))
    return np.asarray(mean + (normal * np.sqrt(values.clip(min=0))) @ vectors.T)


def translated_rows(words: Numbers, means: Numbers, shares: Numbers) -> Numbers:
    """Regress rows of pieces on translations.

    Args:
        words: All rows that there are, ``[V, H]``, for their centre and length.
        means: Mean rows of the source sides, ``[N, H]``.
        shares: Of each target side, the share of each new piece among its new pieces, ``[N, K]``.

    Returns:
        ``[K, H]``.
    """
    centre = words.mean(0)
    length = np.sqrt(((words - centre) ** 2).sum(1).mean())
    directions = shares.T @ fit_ridge(shares @ shares.T, means - means.mean(0)).dual
    return np.asarray(centre + length * directions / np.linalg.norm(directions, axis=1, keepdims=True).clip(min=1e-12))


def _shares(ids: Sequence[int], first: int, count: int) -> Numbers:
    """Return the share of each new piece among the new pieces of a text, ``[K]``."""
    found = np.bincount([one - first for one in ids if one >= first], minlength=count)
    return np.asarray(found / max(1, found.sum()))
