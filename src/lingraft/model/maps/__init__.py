"""Closed-form maps from the pooled states of a language to those of the source language: no gradient, seconds.

A language's states lie beside those of their translations, by a vector and by more than that. A map moves the mean
of the language onto the source's (Libovický et al., 2020) and adds what a regression predicts of the rest::

    ẑ(x) = z(x) − m_target + m_source + (z(x) − m_target) A B + n(x) C B − o B

with ``n(x)`` the text's character n-grams. The regression is onto what a translation's state differs by, so without
evidence its strength leaves the shift of the mean alone. Of the states the head reads no more than its weights span,
``B [r, H]``, ``r`` at most the number of classes; so the map is kept in that space, where it is exact for the head.

Without translations there is nothing to regress onto, and each dimension gets the mean and the spread of the source's
(z-normalisation: Zhao et al., 2021)::

    ẑ(x) = (z(x) − m_target) · s_source / s_target + m_source

A factory of ``maps`` returns ``fit(evidence)``; what it gives is saved with the adaptation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...core.registry import Registry
from ..ngram_features import NgramFeatures

Numbers = NDArray[Any]


@dataclass(frozen=True)
class Evidence:
    """What a map is fitted to.

    Attributes:
        texts: ``N`` texts of the language.
        states: Pooled states of these, ``[N, H]``.
        source: Those of their translations, ``[N, H]``; or of other texts of the source language, ``[M, H]``.
        paired: Whether the rows of ``source`` are the translations of the rows of ``states``.
        read: Weights of the head, ``[C, H]``: what is read of a mapped state.
    """

    texts: Sequence[str]
    states: Tensor
    source: Tensor
    paired: bool
    read: Tensor


class LanguageMap(nn.Module):
    """Moves pooled states of one language to where those of the source language are.

    ``centre [H]`` is the language's mean and ``target [H]`` the source's, ``scale [H]``, where there is one, the
    source's spread over the language's; ``states [H, r]``, ``ngram_weight [V, r]`` and ``offset [r]`` give what is
    added in the directions ``outputs [r, H]``.
    """

    centre: Tensor
    target: Tensor
    offset: Tensor
    scale: Tensor | None

    def __init__(
        self,
        centre: Tensor,
        target: Tensor,
        states: Tensor,
        outputs: Tensor,
        offset: Tensor,
        ngrams: NgramFeatures | None = None,
        ngram_weight: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> None:
        super().__init__()
        for name, tensor in (("centre", centre), ("target", target), ("offset", offset)):
            self.register_buffer(name, tensor)
        self.register_buffer("scale", scale)
        self.states, self.outputs = nn.Parameter(states), nn.Parameter(outputs)
        self.ngrams = ngrams
        self.ngram_weight = nn.Parameter(ngram_weight) if ngram_weight is not None else None

    def forward(self, texts: Sequence[str], pooled: Tensor) -> Tensor:
        """Return mapped states ``[N, H]`` of ``N`` texts and their pooled states ``[N, H]``."""
        if self.ngrams is None or self.ngram_weight is None:
            return self.move(pooled)
        return self.move(pooled, self.ngrams.project(texts, self.ngram_weight))

    def move(self, pooled: Tensor, of_ngrams: Tensor | None = None) -> Tensor:
        """Return mapped states ``[N, H]`` of pooled ones, and of what the texts' n-grams add, ``[N, r]``."""
        moved = pooled - self.centre
        added = moved @ self.states - self.offset
        if of_ngrams is not None:
            added = added + of_ngrams
        if self.scale is not None:
            moved = moved * self.scale
        mapped: Tensor = moved + self.target + added @ self.outputs
        return mapped

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the map whose ``state_dict`` this was.

        Raises:
            KeyError: One of the tensors is missing.
            ValueError: They do not fit together.
        """
        centre, target, states, outputs, offset = own = [
            tensors[part] for part in ("centre", "target", "states", "outputs", "offset")
        ]
        width, rank = centre.shape[0] if centre.dim() == 1 else -1, offset.shape[0] if offset.dim() == 1 else -1
        expected = ((width,), (width,), (width, rank), (rank, width), (rank,))
        if tuple(tuple(tensor.shape) for tensor in own) != expected:
            raise ValueError(f"a map with parts of shapes {', '.join(str(tuple(tensor.shape)) for tensor in own)}")
        if (scale := tensors.get("scale")) is not None and scale.shape != centre.shape:
            raise ValueError(f"a map of {width} dimensions with a scale of shape {tuple(scale.shape)}")
        inner = {name.removeprefix("ngrams."): tensor for name, tensor in tensors.items() if name[:7] == "ngrams."}
        if not inner and "ngram_weight" not in tensors:
            return cls(centre, target, states, outputs, offset, scale=scale)
        ngrams, weight = NgramFeatures.restore(inner), tensors["ngram_weight"]
        if weight.shape != (len(ngrams.columns), rank):
            raise ValueError(f"{len(ngrams.columns)} n-grams for weights of shape {tuple(weight.shape)}")
        return cls(centre, target, states, outputs, offset, ngrams, weight, scale)


@dataclass(frozen=True)
class FittedMap:
    """A map, and the states ``[N, H]`` that it gives its own texts without having seen them; None if it has no pairs.

    Where a map cannot leave out a text, it has none.
    """

    map: LanguageMap
    left_out: Tensor | None


FitMap = Callable[[Evidence], FittedMap]

maps = Registry("lingraft.maps", "lingraft.model.maps")


def shift_of(evidence: Evidence) -> LanguageMap:
    """Return the map that only moves the mean; of texts that are no translations, the spread as well."""
    width = evidence.states.shape[1]
    return LanguageMap(
        evidence.states.mean(0),
        evidence.source.mean(0),
        torch.zeros(width, 0),
        torch.zeros(0, width),
        torch.zeros(0),
        scale=None if evidence.paired else _scale_of(evidence),
    )


def _scale_of(evidence: Evidence) -> Tensor:
    """Return the standard deviation of each dimension in the source, in that of the language: ``[H]``."""
    source, states = (side.float().std(0) for side in (evidence.source, evidence.states))
    return torch.where((source > 0) & (states > 0), source / states.clamp(min=torch.finfo(states.dtype).tiny), 1.0)


def head_space(read: Tensor) -> Numbers:
    """Return an orthonormal basis ``[H, r]`` of what a head with weights ``[C, H]`` reads; ``r`` is their rank."""
    _, sizes, rows = np.linalg.svd(read.detach().cpu().double().numpy(), full_matrices=False)
    return np.asarray(rows[sizes > (sizes[:1] * 1e-9)].T)
