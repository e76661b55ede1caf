"""The states of many texts as three arrays, and batches cut out of them.

Texts lie one after the other without padding; padding is added when a batch is gathered. Torch is
imported only there, so that looking at the cache stays light.

Notation: ``N`` texts, ``S`` tokens of all texts together, ``B`` rows of a batch, ``T`` tokens of its
longest row, ``H`` hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..core.errors import CacheError
from ..core.records import IDS, States

if TYPE_CHECKING:
    from torch import Tensor

Dtype = Literal["float32", "float16"]

DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I64": np.dtype("<i8")}
"""Safetensors' names of the number formats that a table has."""


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
        if (self.tokens.dtype, self.offsets.dtype, self.pooled.dtype) not in _ENTRY_DTYPES:
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
        """Make room for texts of the given lengths, to be filled by :meth:`put`."""
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        tokens = np.zeros((int(offsets[-1]), width), dtype=dtype)
        return cls(tokens, offsets, np.zeros((len(lengths), width), dtype=np.float32), layer)

    def __len__(self) -> int:
        return len(self.pooled)

    @property
    def nbytes(self) -> int:
        """Bytes of the three arrays."""
        return self.tokens.nbytes + self.offsets.nbytes + self.pooled.nbytes

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text: ``[N]``."""
        return np.diff(self.offsets)

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
        import torch

        first, lengths = self._spans(rows)
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
        self.pooled[self._checked(rows)] = pooled.detach().to("cpu", torch.float32).numpy()

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
        import torch

        first, lengths = self._spans(rows)
        longest = int(lengths.max(initial=0))
        padded = np.empty((len(lengths), longest, self.tokens.shape[1]), dtype=self.tokens.dtype)
        for i, (start, length) in enumerate(zip(first.tolist(), lengths.tolist(), strict=True)):
            padded[i, :length] = self.tokens[start : start + length]
            padded[i, length:] = 0
        mask = (np.arange(longest) < lengths[:, None]).astype(np.int64)
        return States(torch.from_numpy(padded).float(), torch.from_numpy(mask), self.layer)

    def pooled_rows(self, rows: Sequence[int]) -> Tensor:
        """Gather pooled states after the last layer: ``[B, H]`` in float32.

        Raises:
            IndexError: A row is negative or beyond the last text.
        """
        import torch

        return torch.from_numpy(self.pooled[self._checked(rows)])

    def _spans(self, rows: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First token and number of tokens of each row: ``[B]`` twice."""
        chosen = self._checked(rows)
        first = self.offsets[chosen]
        return first, self.offsets[chosen + 1] - first

    def _checked(self, rows: Sequence[int]) -> NDArray[np.int64]:
        """The rows as an array, none of them counted from the end."""
        chosen = np.asarray(rows, dtype=np.int64)
        if chosen.min(initial=0) < 0 or chosen.max(initial=-1) >= len(self):
            raise IndexError(f"rows {chosen.min()} to {chosen.max()} of a table of {len(self)} texts")
        return chosen


@dataclass(frozen=True, eq=False)
class IdTable:
    """Token ids instead of states, for what trains the embeddings or runs the whole model itself.

    Batches are at layer :data:`~lingraft.records.IDS`; the pooled frozen states are those of ``states``.
    """

    ids: tuple[tuple[int, ...], ...]
    states: StateTable
    padding_id: int

    def batch(self, rows: Sequence[int]) -> States:
        """Gather texts, padded on the right: ids and mask, both ``[B, T]`` int64."""
        import torch

        texts = [self.ids[row] for row in rows]
        longest = max(map(len, texts), default=0)
        padded = np.full((len(texts), longest), self.padding_id, dtype=np.int64)
        mask = np.zeros_like(padded)
        for i, text in enumerate(texts):
            padded[i, : len(text)], mask[i, : len(text)] = text, 1
        return States(torch.from_numpy(padded), torch.from_numpy(mask), IDS)

    def pooled_rows(self, rows: Sequence[int]) -> Tensor:
        """Gather pooled states after the frozen last layer: ``[B, H]`` in float32."""
        return self.states.pooled_rows(rows)


_ENTRY_DTYPES = [(DTYPES[token], DTYPES["I64"], DTYPES["F32"]) for token in ("F32", "F16")]
