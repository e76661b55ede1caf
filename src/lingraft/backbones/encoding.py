"""Texts to features to frozen states, once.

The blocks below the cut see no prompt and nothing trained, so their output depends on the text
alone: it is computed once, kept by the cache, and shared by every seed, draw, trial and recipe. The
same pass goes on to the last layer for the pooled states that the frozen head and the alignment
teacher need. What is missing is computed and stored shard by shard, so a long encoding that was
killed goes on where it stopped, and no more than a shard of it is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ..core.records import IDS, Features, States
from ..core.stored_states import states_folder
from .loading import Backbone
from .shards import states_bytes, text_digest
from .state_cache import add_texts, filling, open_texts, require_room, space_key
from .state_table import Dtype, IdTable, StateTable, StateView
from .walk import encode_batch, length_batches

Advance = Callable[[int], None]
"""Called with the number of tokens just encoded."""

EncodeBatches = Callable[
    [Iterable[Sequence[Sequence[int]]], Backbone, int, torch.device], Iterable[tuple[States, Tensor]]
]
"""Batches of token ids, a frozen model, the layer that is kept, a device: to states there, and pooled states."""

SHARD_BYTES = 64 * 10**6
"""A shard is full when the next batch would make it larger: what an encoding holds in memory, and loses when killed."""


@dataclass(frozen=True)
class Encoded:
    """Texts of one language with their frozen states, found by example id."""

    features: tuple[Features, ...]
    table: StateView | IdTable

    @cached_property
    def row(self) -> dict[str, int]:
        """Example id to row of the table, the first of several."""
        return {example: rows[0] for example, rows in self.rows.items()}

    @cached_property
    def rows(self) -> dict[str, list[int]]:
        """Example id to its rows: one, but for long contexts and for choices."""
        found: dict[str, list[int]] = {}
        for i, feature in enumerate(self.features):
            found.setdefault(feature.example_id, []).append(i)
        return found

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text."""
        return [len(feature.input_ids) for feature in self.features]

    @property
    def width(self) -> int:
        """``H``."""
        return self.table.width

    def batch(self, rows: Sequence[int]) -> States:
        """Gather the states of some rows, with what is to be said after them, where that is something."""
        states, features = self.table.batch(rows), [self.features[row] for row in rows]
        if longest := max((len(feature.answer) for feature in features), default=0):
            answers = [[*feature.answer, *[-1] * (longest - len(feature.answer))] for feature in features]
            return replace(states, said=torch.tensor(answers))
        if not any(feature.said for feature in features):
            return states
        said = torch.full(states.mask.shape, -1)
        for row, feature in enumerate(features):
            length = len(feature.input_ids)
            said[row, length - feature.said - 1 : length - 1] = torch.tensor(feature.input_ids[length - feature.said :])
        return replace(states, said=said)

    def from_ids(self, padding_id: int) -> Encoded:
        """Return the same texts with batches of token ids, for what adapts the layers below the cut as well."""
        if isinstance(self.table, IdTable):
            return self
        return Encoded(self.features, IdTable(_ids_of(self.features), self.table, padding_id))

    def pooled(self, ids: Sequence[str]) -> Tensor:
        """Return the mean states after the frozen last layer: ``[N, H]``."""
        return self.table.pooled_rows([self.row[i] for i in ids])


def encode_here(
    batches: Iterable[Sequence[Sequence[int]]], backbone: Backbone, cut: int, device: torch.device
) -> Iterator[tuple[States, Tensor]]:
    """Encode batches one after the other, in this process."""
    for ids in batches:
        yield encode_batch(ids, backbone.stack, cut, device)


def encode(
    features: Sequence[Features],
    backbone: Backbone,
    *,
    cut: int,
    dtype: Dtype,
    max_bytes: int,
    device: torch.device,
    advance: Advance = lambda tokens: None,
    encode_batches: EncodeBatches = encode_here,
) -> Encoded:
    """Compute frozen states of ``features``, from the cache where they are there already.

    Args:
        features: Tokenised texts.
        backbone: The frozen model.
        cut: Layer whose states are kept; at ``IDS`` batches are token ids, and only pooled states are read.
        dtype: ``float32`` or ``float16`` on disk.
        max_bytes: Bound of the whole store.
        device: Where to compute.
        advance: Progress, in tokens that were not in the cache.
        encode_batches: Computes the states of what is not in the cache.
    """
    stack, whole = backbone.stack, cut == IDS
    cut = usual_cut(stack.num_layers) if whole else cut
    space = states_folder() / space_key(
        weights_digest=backbone.weights_digest,
        tokenizer_digest=backbone.tokenizer_digest,
        cut=cut,
        dtype=dtype,
        precision=stack.precision,
        device=device.type,
        last=stack.pooling.last,
    )
    digests = [text_digest(feature.input_ids) for feature in features]
    texts = {digest: feature.input_ids for digest, feature in zip(digests, features, strict=True)}
    found = open_texts(space, texts, layer=cut)
    if len(found) < len(texts):
        with filling(space):  # meanwhile another process may have computed some
            found = open_texts(space, texts, layer=cut)
            missing = [digest for digest in texts if digest not in found]
            lengths = [len(texts[digest]) for digest in missing]
            require_room(space.parent, states_bytes(lengths, width=stack.width, dtype=dtype), max_bytes=max_bytes)
            for rows in _shards(lengths, stack.width, dtype):
                chosen = [missing[row] for row in rows]
                ids = [texts[digest] for digest in chosen]
                table = _states(ids, backbone, cut, dtype, device, advance, encode_batches)
                found |= add_texts(space, table, chosen, max_bytes=max_bytes)
    view = StateView([found[digest] for digest in digests], stack.width, cut, stack.pooling)
    if whole:
        return Encoded(tuple(features), view).from_ids(stack.padding_id)
    return Encoded(tuple(features), view)


def _ids_of(features: Sequence[Features]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(feature.input_ids) for feature in features)


def usual_cut(num_layers: int) -> int:
    """Return half of the depth: of cuts 0, 4, 6, 8 and 10 of 12, 6 was best on topics in Hausa and Guarani.

    2.0 points [0.2, 3.8] better than 8, which an earlier pilot on Yoruba had chosen; one seed, and p = 0.17 once
    corrected for their number. Cut 0, which costs twice as much, is not distinguishable from 6
    (docs/results/knowledge-transfer.md).
    """
    return num_layers // 2


def _shards(lengths: Sequence[int], width: int, dtype: Dtype) -> Iterator[list[int]]:
    """Yield rows of each shard: whole batches, as many as fit."""
    shard: list[int] = []
    for batch in length_batches(lengths):
        if shard and states_bytes([lengths[row] for row in shard + batch], width=width, dtype=dtype) > SHARD_BYTES:
            yield shard
            shard = []
        shard += batch
    if shard:
        yield shard


def _states(
    ids: Sequence[Sequence[int]],
    backbone: Backbone,
    cut: int,
    dtype: Dtype,
    device: torch.device,
    advance: Advance,
    encode_batches: EncodeBatches,
) -> StateTable:
    """Compute states at the cut and pooled states after the last layer, in the order of ``ids``."""
    lengths = [len(text) for text in ids]
    table = StateTable.empty(lengths, width=backbone.stack.width, layer=cut, dtype=dtype)
    batches = list(length_batches(lengths))
    found = encode_batches([[ids[row] for row in rows] for rows in batches], backbone, cut, device)
    for rows, (states, pooled) in zip(batches, found, strict=True):
        table.put(rows, states, pooled)
        advance(sum(lengths[row] for row in rows))
    return table
