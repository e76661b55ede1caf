"""Code-switched copies beside the batches that have their originals, and which of their tokens correspond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..core.examples import Example
from ..core.records import Features, Matching
from ..data.augmentation.switching import Place, Switched
from ..tasks.kinds import Kind
from ..tasks.material import Draw

NONE = -1
"""The cell of a token, or a row, that nothing on the other side corresponds to."""


@dataclass(frozen=True)
class Cells:
    """What of an example corresponds to what of its copy, in numbers that both share: ``count`` cells from 0.

    Of each row of the original, and of the copy, the cells of its tokens, or its own; ``NONE`` for none.
    """

    originals: tuple[Tensor, ...]
    copies: tuple[Tensor, ...]
    count: int


def copies_by_turn(draw: Draw) -> list[tuple[str, Mapping[str, Switched[Example]]]]:
    """Return the copies that steps take in turn: a language, and by the id of the original at most one of each.

    Copies of examples that are held out, as in a fold of a cross-validation, are left out.
    """
    known = {example.id for example in draw.labelled}
    found = [
        (language, {copy.original.id: copy for copy in copies if copy.original.id in known})
        for language, rounds in draw.copies.items()
        for copies in rounds
    ]
    return [(language, copies) for language, copies in found if copies]


def cells_of(
    kind: Kind, original: Sequence[Features], copy: Sequence[Features], places: Sequence[tuple[Place, Place]]
) -> Cells:
    """Say which tokens, or rows, of an example and of its copy correspond.

    Args:
        kind: Of the task. Where it does not read tokens, row answers to row.
        original: All rows of the example.
        copy: All rows of the copy.
        places: What corresponds, see :class:`lingraft.data.augmentation.switching.Switched`.
    """
    if not kind.per_token:
        own = tuple(torch.tensor([feature.part]) for feature in original)
        return Cells(own, own, len(own))
    ours = [_place_of_tokens(feature, [place for place, _ in places]) for feature in original]
    theirs = [_place_of_tokens(feature, [place for _, place in places]) for feature in copy]
    shared = np.intersect1d(np.concatenate(ours), np.concatenate(theirs))
    shared = shared[shared >= 0]
    own, other = (tuple(_renumbered(row, shared) for row in rows) for rows in (ours, theirs))
    return Cells(own, other, len(shared))


def _place_of_tokens(feature: Features, places: Sequence[Place]) -> np.ndarray:
    """Return the number of the place in which each token of a row begins, ``NONE`` where in none: ``[T]``."""
    starts = np.array([NONE if at is None else at[0] for at in feature.offsets], dtype=np.int64)
    if not places:
        return np.full(len(starts), NONE)
    firsts, lasts = np.array(places, dtype=np.int64).T
    found = np.searchsorted(firsts, starts, side="right") - 1
    return np.where((found >= 0) & (starts < lasts[found]), found, NONE)


def _renumbered(numbers: np.ndarray, shared: np.ndarray) -> Tensor:
    """Return numbers as places among ``shared`` ones, ``NONE`` for others."""
    at = np.searchsorted(shared, numbers)
    inside = np.isin(numbers, shared)
    return torch.from_numpy(np.where(inside, at, NONE))


def match(sources: Sequence[tuple[str, int]], copies: Sequence[tuple[str, Cells]]) -> Matching:
    """Say what corresponds in a batch of originals and a batch of copies.

    Args:
        sources: Id and number of rows of each example of the source batch, in order.
        copies: Id of the original, and the cells, of each copy, in order.
    """
    originals: dict[str, list[Tensor]] = {}
    own: list[Tensor] = []
    example: list[Tensor] = []
    first = number = 0
    for name, cells in copies:
        originals[name] = [_shifted(row, first) for row in cells.originals]
        own += [_shifted(row, first) for row in cells.copies]
        example.append(torch.full((cells.count,), number))
        first, number = first + cells.count, number + (cells.count > 0)
    nothing = torch.tensor([NONE])
    theirs = [row for name, rows in sources for row in originals.get(name, [nothing] * rows)]
    return Matching(
        originals=pad_sequence(theirs, batch_first=True, padding_value=NONE),
        copies=pad_sequence(own, batch_first=True, padding_value=NONE),
        example=torch.cat(example),
    )


def _shifted(cells: Tensor, by: int) -> Tensor:
    return torch.where(cells >= 0, cells + by, cells)
