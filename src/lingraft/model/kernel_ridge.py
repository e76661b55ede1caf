"""Kernel ridge regression in its dual form, whose strength is chosen by the exact leave-one-out error.

What is left out is computed and not refitted: with ``H = K (K + λI)⁻¹`` the error of a row that did not take part is
``(R − HR)_i / (1 − H_ii)`` (Allen's PRESS statistic, 1974). Where kernel and targets were centred by the mean of all
rows, each row has moved that mean as well, and ``1/n`` is taken off too: without it the error is 0 for any targets as
λ goes to 0, and the least regularised fit would be chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.threads import one_thread

Numbers = NDArray[Any]

STRENGTHS = 10.0 ** np.arange(-4.0, 3.01, 0.25)
"""Values of λ that are tried, as multiples of the kernel's mean diagonal."""

SMALLEST = 1e-6
"""A row whose own influence is nearer to 1 than this would be divided by nearly nothing."""


@dataclass(frozen=True)
class Ridge:
    """A fitted regression of ``N`` rows onto ``D`` targets.

    Attributes:
        dual: ``[N, D]``; the prediction of a new row is its kernel with the rows, ``[N]``, times this.
        left_out: What each row's targets are predicted to be by a fit without the row, ``[N, D]``.
        strength: The chosen λ.
    """

    dual: Numbers
    left_out: Numbers
    strength: float


def fit_ridge(kernel: Numbers, targets: Numbers, *, centred: bool = False) -> Ridge:
    """Fit a regression with the strength that has the least leave-one-out error.

    Args:
        kernel: Symmetric and positive semidefinite, ``[N, N]``.
        targets: ``[N, D]``.
        centred: Whether the means over all rows were taken from both.
    """
    kernel, targets = np.asarray(kernel, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    with one_thread():
        return _fit(kernel, targets, centred)


def _fit(kernel: Numbers, targets: Numbers, centred: bool) -> Ridge:
    values, vectors = np.linalg.eigh(kernel)
    values, turned, squares = values.clip(min=0.0), vectors.T @ targets, vectors**2
    size = values.mean() or 1.0  # all rows alike: whatever is added, nothing is predicted

    def errors(strength: float) -> Numbers:
        shrunk = values / (values + strength)
        own = squares @ shrunk + (1 / len(kernel) if centred else 0.0)
        missed = targets - vectors @ (shrunk[:, None] * turned)
        return np.asarray(missed / (1 - own).clip(min=SMALLEST)[:, None])

    strength = min((size * factor for factor in STRENGTHS), key=lambda one: float((errors(one) ** 2).sum()))
    dual = vectors @ (turned / (values + strength)[:, None])
    return Ridge(dual, targets - errors(strength), strength)


def centre_kernel(kernel: Numbers) -> Numbers:
    """Return the kernel ``[N, N]`` of the same rows with their mean taken off."""
    means = kernel.mean(0)
    return np.asarray(kernel - means - means[:, None] + means.mean())
