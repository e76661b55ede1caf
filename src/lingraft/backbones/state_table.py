"""The states of many texts as three arrays, and batches cut out of them.

Texts lie one after the other without padding; padding is added when a batch is gathered. A view
picks texts out of several such tables.

Notation: ``N`` texts, ``S`` tokens of all texts together, ``B`` rows of a batch, ``T`` tokens of its
longest row, ``H`` hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import CacheError
from ..core.records import IDS, OF_ALL, Pooling, States

Dtype = Literal["float32", "float16"]


@dataclass(frozen=True, eq=False)
class StateTable:
    """The states of ``N`` texts at one layer, in memory while they are computed, mapped afterwards.

    Args:
        tokens: ``[S, H]`` float32 or float16, text after text, no padding.
        offsets: ``[N + 1]`` int64; text ``i`` owns the tokens from ``offsets[i]`` to ``offsets[i + 1]``.
        pooled: ``[N, H]`` float32, the mean over tokens of the states after the last layer.
        layer: Number of blocks that ``tokens`` went through.

    Raises:
        ValueError: The arrays do not fit together.
    """

    tokens: NDArray[np.floating[Any]]
    offsets: NDArray[np.int64]
    pooled: NDArray[np.float32]
    layer: int

    def __post_init__(self) -> None:
        known = self.tokens.dtype in (np.float32, np.float16)
        if not known or self.offsets.dtype != np.int64 or self.pooled.dtype != np.float32:
            raise ValueError(
                "a table holds float32 or float16 tokens, int64 offsets and float32 pooled states, "
                f"not {self.tokens.dtype}, {self.offsets.dtype} and {self.pooled.dtype}"
            )
        if (self.tokens.ndim, self.offsets.ndim, self.pooled.ndim) != (2, 1, 2):
            raise ValueError(
                "a table holds tokens [S, H], offsets [N + 1] and pooled [N, H], "
                f"not {self.tokens.shape}, {self.offsets.shape} and {self.pooled.shape}"
            )
        if len(self.offsets) != len(self.pooled) + 1:
            raise ValueError(f"{len(self.pooled)} texts need one offset more, not {len(self.offsets)}")
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.tokens) or (np.diff(self.offsets) < 0).any():
            raise ValueError(f"offsets must rise from 0 to the number of tokens, {len(self.tokens)}")

    @classmethod
    def empty(cls, lengths: Sequence[int], *, width: int, layer: int, dtype: Dtype = "float32") -> StateTable:
        """Make room for texts of the given lengths, to be filled by :meth:`put`.

        Args:
            lengths: Tokens of each of ``N`` texts.
            width: ``H``.
            layer: That the states are of.
            dtype: Of the tokens' states.
        """
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        tokens = np.zeros((int(offsets[-1]), width), dtype=dtype)
        return cls(tokens, offsets, np.zeros((len(lengths), width), dtype=np.float32), layer)

    def __len__(self) -> int:
        return len(self.pooled)

    @property
    def width(self) -> int:
        """``H``."""
        return int(self.pooled.shape[1])

    def put(self, rows: Sequence[int], states: States, pooled: Tensor) -> None:
        """Write a right-padded batch into its rows.

        Args:
            rows: Where each of the ``B`` texts belongs.
            states: ``[B, T, H]`` with its mask.
            pooled: ``[B, H]``.

        Raises:
            ValueError: The table is for another layer, or a text has another length than announced.
            CacheError: Some number is too large for float16.
        """
        chosen = _checked(rows, len(self))
        first, lengths = self.offsets[chosen], np.diff(self.offsets)[chosen]
        seen = states.mask.sum(1).cpu().numpy()
        if states.layer != self.layer or not np.array_equal(seen, lengths):
            raise ValueError(
                f"expected texts of {lengths.tolist()} tokens at layer {self.layer}, "
                f"not of {seen.tolist()} at layer {states.layer}"
            )
        values = states.tokens.detach().to("cpu", torch.float32)
        if self.tokens.dtype == np.float16:
            values, full = values.half(), values
            if bool((values.isinf() & full.isfinite()).any()):
                raise CacheError(
                    f"states of layer {self.layer} reach {full.abs().max():.3g}, but float16 ends at 65504; "
                    "set cache.dtype to float32"
                )
        source = values.numpy()
        for i, (start, length) in enumerate(zip(first.tolist(), lengths.tolist(), strict=True)):
            self.tokens[start : start + length] = source[i, :length]
        self.pooled[chosen] = pooled.detach().to("cpu", torch.float32).numpy()


@dataclass(frozen=True, eq=False)
class StateView:
    """Texts picked out of several tables: row ``i`` is row ``places[i][1]`` of the table ``places[i][0]``.

    Args:
        places: A table and a row for each of the ``N`` texts.
        width: ``H``.
        layer: Number of blocks that the states of all tables went through.
        pooling: Which tokens of a text are averaged.
    """

    places: Sequence[tuple[StateTable, int]]
    width: int
    layer: int
    pooling: Pooling = OF_ALL

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def _spans(self) -> list[tuple[NDArray[np.floating[Any]], int, int]]:
        """For each text, the tokens of its table, the first that is its own, and how many are."""
        offsets = {table: table.offsets.tolist() for table, _ in self.places}
        return [
            (table.tokens, offsets[table][row], offsets[table][row + 1] - offsets[table][row])
            for table, row in self.places
        ]

    def batch(self, rows: Sequence[int]) -> States:
        """Gather texts, padded on the right with zeros to the longest of them.

        This is the data path of training, so it does little more than copy: each text is one block
        of memory. Float16 is widened after gathering, all rows at once.

        Args:
            rows: ``B`` indices, in any order, repeats allowed.

        Returns:
            States ``[B, T, H]`` in float32, mask ``[B, T]`` in int64.

        Raises:
            IndexError: A row is negative or beyond the last text.
        """
        spans = [self._spans[row] for row in _checked(rows, len(self)).tolist()]
        lengths = np.array([length for _, _, length in spans], dtype=np.int64)
        longest = int(lengths.max(initial=0))
        padded = np.empty((len(spans), longest, self.width), dtype=spans[0][0].dtype if spans else np.float32)
        for i, (tokens, start, length) in enumerate(spans):
            padded[i, :length] = tokens[start : start + length]
            padded[i, length:] = 0
        mask = (np.arange(longest) < lengths[:, None]).astype(np.int64)
        return States(torch.from_numpy(padded).float(), torch.from_numpy(mask), self.layer, pooling=self.pooling)

    def pooled_rows(self, rows: Sequence[int]) -> Tensor:
        """Gather pooled states after the last layer: ``[B, H]`` in float32.

        Raises:
            IndexError: A row is negative or beyond the last text.
        """
        found = np.empty((len(rows), self.width), dtype=np.float32)
        for i, place in enumerate(_checked(rows, len(self)).tolist()):
            table, row = self.places[place]
            found[i] = table.pooled[row]
        return torch.from_numpy(found)


def _checked(rows: Sequence[int], texts: int) -> NDArray[np.int64]:
    """Return the rows as an array, none of them counted from the end."""
    chosen = np.asarray(rows, dtype=np.int64)
    if chosen.min(initial=0) < 0 or chosen.max(initial=-1) >= texts:
        raise IndexError(f"rows {chosen.min()} to {chosen.max()} of a table of {texts} texts")
    return chosen


@dataclass(frozen=True, eq=False)
class IdTable:
    """Token ids instead of states, for what trains the embeddings or runs the whole model itself.

    Batches are at layer :data:`~lingraft.records.IDS`; the pooled frozen states are those of ``states``.
    """

    ids: tuple[tuple[int, ...], ...]
    states: StateView
    padding_id: int

    @property
    def width(self) -> int:
        """``H``."""
        return self.states.width

    def batch(self, rows: Sequence[int]) -> States:
        """Gather texts, padded on the right: ids and mask, both ``[B, T]`` int64."""
        texts = [self.ids[row] for row in rows]
        longest = max(map(len, texts), default=0)
        padded = np.full((len(texts), longest), self.padding_id, dtype=np.int64)
        mask = np.zeros_like(padded)
        for i, text in enumerate(texts):
            padded[i, : len(text)], mask[i, : len(text)] = text, 1
        return States(torch.from_numpy(padded), torch.from_numpy(mask), IDS, pooling=self.states.pooling)

    def pooled_rows(self, rows: Sequence[int]) -> Tensor:
        """Gather pooled states after the frozen last layer: ``[B, H]`` in float32."""
        return self.states.pooled_rows(rows)
