"""Other test sets that there might have been: examples drawn with replacement, once for everything that is reported.

The bootstrap (Efron, 1979) asks how different a number would have been on other examples, by computing it on samples
drawn from the examples at hand. Examples that belong together (questions on one paragraph, one sentence in many
languages) are drawn together; and one :class:`Resampling` serves all metrics, methods, languages and trained models
that share the examples, so that their numbers can be subtracted draw by draw.

Most numbers are functions of sums over examples, so a resample needs no copy of the data: how often each group was
drawn, times the sums of each group, is one matrix product. What no sums give is made of how often each example was.

Notation: ``N`` examples, ``G`` groups of them, ``U`` trials (seeds × shot draws), ``R`` resamples, ``K`` sums. The
module imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .metrics import Formula, OfExamples

__all__ = ["RESAMPLES", "Floats", "Resampling", "resample", "resample_jointly"]

Floats = NDArray[np.float64]

RESAMPLES = 2000
"""How often examples are drawn where nobody asks for more."""

_CHUNK = 4_000_000  # draws held as large numbers at once
_WEIGHED = 500_000  # examples of resamples that are looked at one by one at once


@dataclass(frozen=True)
class Resampling:
    """How often each group of examples came in each resample."""

    membership: NDArray[np.int64]
    """The number of each example's group: ``[N]``."""
    times: NDArray[np.uint8]
    """``[R, G]``. A byte is enough: one group of many comes 256 times with a chance of 1e-500."""

    @property
    def groups(self) -> int:
        """Return how many groups are drawn from; of one alone, each resample is the same."""
        return int(self.times.shape[1])

    def sums(self, table: ArrayLike) -> Floats:
        """Return the sums ``[R, K]`` of what each example adds, ``[N, K]``.

        Raises:
            ValueError: Other examples than were drawn from, or numbers that are not finite.
        """
        values = self._checked(table, "NK")
        resamples, groups = self.times.shape
        per_group = np.zeros((groups, values.shape[1]))
        np.add.at(per_group, self.membership, values)
        step = max(1, _CHUNK // groups)
        parts = [self.times[start : start + step].astype(np.float64) for start in range(0, resamples, step)]
        return np.concatenate([part @ per_group for part in parts])

    def metric(self, formula: Formula, table: ArrayLike) -> Floats:
        """Return a metric on each resample, averaged over trials: ``[R]``.

        Args:
            formula: Sums ``[..., K]`` to the metric ``[...]``, or one of the examples themselves.
            table: What each example adds to the sums in each trial, ``[U, N, K]``.

        Raises:
            ValueError: As :meth:`sums`.
        """
        values = self._checked(table, "UNK")
        if isinstance(formula, OfExamples):
            return np.asarray(np.mean([self._of_examples(formula, one) for one in values], axis=0))
        trials, examples, width = values.shape
        flat = values.transpose(1, 0, 2).reshape(examples, trials * width)
        sums = self.sums(flat).reshape(-1, trials, width)
        return np.asarray(formula(sums).mean(1), dtype=np.float64)

    def means(self, values: ArrayLike) -> Floats:
        """Return the mean of ``[U, N]`` on each resample: ``[R]``.

        Raises:
            ValueError: As :meth:`sums`.
        """
        columns = self._checked(values, "UN").mean(0)
        start = columns[0]  # sums are taken from here, so that what is constant stays so to the last bit
        totals = self.sums(np.stack([columns - start, np.ones_like(columns)], axis=1))  # [R, 2]
        return np.asarray(start + totals[:, 0] / totals[:, 1], dtype=np.float64)

    def _of_examples(self, formula: OfExamples, table: Floats) -> Floats:
        """Return a metric of the counts ``[N, K]`` of examples on each resample: ``[R]``."""
        step = max(1, _WEIGHED // len(table))
        parts = [self.times[start : start + step][:, self.membership] for start in range(0, len(self.times), step)]
        return np.concatenate([formula.made(part.astype(np.float64), table) for part in parts])

    def _checked(self, values: ArrayLike, axes: str) -> Floats:
        """Return the values as an array of these axes that can be added up."""
        array, examples = np.asarray(values, dtype=np.float64), len(self.membership)
        if array.ndim != len(axes) or not array.size or array.shape[axes.index("N")] != examples:
            raise ValueError(f"expected numbers [{', '.join(axes)}] of N = {examples} examples, not {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{np.count_nonzero(~np.isfinite(array))} of {array.size} numbers are not finite")
        return array


def resample(groups: Sequence[str] | int, *, resamples: int = RESAMPLES, seed: int = 0) -> Resampling:
    """Draw groups of examples with replacement, as many as there are.

    The first resamples are the same however many follow.

    Args:
        groups: ``[N]``, what each example belongs to; or ``N``, where each example is a group of its own.
        resamples: How often to draw.
        seed: Where the random numbers start.

    Raises:
        ValueError: There are no examples, or no resamples.
    """
    membership, count = _membership(groups)
    return Resampling(membership, _draw(count, resamples, seed))


def resample_jointly(groups: Sequence[Sequence[str]], *, resamples: int = RESAMPLES, seed: int = 0) -> list[Resampling]:
    """Draw for several languages, those whose test sets hold the same groups at once.

    A sentence that is hard in one language is hard in the others, and treating them as independent would flatter an
    interval. Languages with other groups are drawn on their own.

    Args:
        groups: For each language ``[N]``, what an example belongs to, by the same name in every language.
        resamples: How often to draw.
        seed: Where the random numbers start.

    Raises:
        ValueError: There are no languages, no examples in one of them, or no resamples.
    """
    if not groups:
        raise ValueError("there are no languages to draw for")
    drawn: dict[frozenset[str], NDArray[np.uint8]] = {}
    found = []
    for names in groups:
        # Groups are numbered in the order of their names: the same draw means the same ones.
        membership, count = _membership(names)
        held = frozenset(names)
        if held not in drawn:
            drawn[held] = _draw(count, resamples, seed + len(drawn))
        found.append(Resampling(membership, drawn[held]))
    return found


def _membership(groups: Sequence[str] | int) -> tuple[NDArray[np.int64], int]:
    """Return the number of each example's group, ``[N]``, and how many groups there are."""
    if isinstance(groups, int):
        membership, count = np.arange(groups), groups
    else:
        names, membership = np.unique(np.asarray(groups), return_inverse=True)
        count = len(names)
    if not count:
        raise ValueError("there are no examples to draw from")
    return membership, count


def _draw(count: int, resamples: int, seed: int) -> NDArray[np.uint8]:
    """Return how often each of ``G`` groups comes in ``G`` draws with replacement, resample by resample: ``[R, G]``."""
    if resamples < 1:
        raise ValueError(f"expected at least one resample, not {resamples}")
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // count)
    times = np.empty((resamples, count), dtype=np.uint8)
    for start in range(0, resamples, step):
        drawn = rng.integers(count, size=(min(step, resamples - start), count))
        cells = drawn + count * np.arange(len(drawn))[:, None]
        times[start : start + step] = np.bincount(cells.ravel(), minlength=drawn.size).reshape(drawn.shape)
    return times
