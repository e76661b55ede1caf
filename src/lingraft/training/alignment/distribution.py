"""Losses that compare the two sides of a batch as a whole: their geometry, or where they lie."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ...core.amounts import Factor
from . import AlignmentLoss, View, alignment

Factors: TypeAlias = Annotated[tuple[Factor, ...], Field(min_length=1, max_length=100)]


@alignment.register("cka")
def cka() -> AlignmentLoss:
    """One minus linear centred kernel alignment of the pooled states (Kornblith et al., 2019).

    Blind to rotations, shifts and scale: it asks that sentences have the same neighbours on both
    sides, not that translations coincide. Two sentences always do, so it takes three to learn from; one
    alone has no geometry and costs 1, without gradient.
    """

    def loss(source: View, target: View) -> Tensor:
        theirs, ours = (centred_kernel(view.states.pooled()).flatten() for view in (source, target))
        return 1.0 - F.cosine_similarity(theirs, ours, dim=0)

    return AlignmentLoss(loss)


def centred_kernel(rows: Tensor) -> Tensor:
    """Return inner products of the rows about their mean, of unit size overall: ``[B, H]`` to ``[B, B]``.

    ``cos(K, L)`` of two of them is CKA's ``|X'Y|² / (|X'X| |Y'Y|)``, by the trace of a cyclic
    product, and ``[B, B]`` is the smaller matrix of the two.
    """
    centred = rows - rows.mean(0)
    centred = F.normalize(centred.flatten(), dim=0).view_as(centred)
    return centred @ centred.T


@alignment.register("mmd")
def mmd(*, multiples: Factors = (0.25, 0.5, 1.0, 2.0, 4.0)) -> AlignmentLoss:
    """Squared maximum mean discrepancy of the pooled states, Gaussian kernels (Gretton et al., 2012).

    Zero where the two sides are the same set of states, in whatever order: it brings the languages
    to the same place and leaves open which sentence goes where.

    Args:
        multiples: The kernel is the mean of Gaussians whose variances are these multiples of the
            median squared distance within the two sides together.
    """

    def loss(source: View, target: View) -> Tensor:
        theirs, ours = source.states.pooled(), target.states.pooled()
        joined = torch.cat([theirs, ours])
        median = F.pdist(joined.detach()).square().median().clamp(min=1e-12)
        kernel = torch.stack([torch.exp(-squared_distances(joined) / (2 * m * median)) for m in multiples]).mean(0)
        n = len(theirs)
        return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()

    return AlignmentLoss(loss)


def squared_distances(rows: Tensor) -> Tensor:
    """Return the squared distance of every row to every other: ``[B, H]`` to ``[B, B]``.

    By differences: the usual product of matrices is faster and loses all digits of small distances.
    """
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").square()
