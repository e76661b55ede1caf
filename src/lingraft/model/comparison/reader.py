"""Pairs of texts to features: both are tokenised and read by the frozen backbone, each by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...backbones.kept_rows import Ids, keep_rows, pair_digest
from ...backbones.loading import Backbone
from ...backbones.state_cache import space_key
from ...backbones.walk import at_layer, length_batches, pad_batch
from ...core.stored_states import states_folder
from ..word_alignment import content, count_prefix_tokens
from .features import DEPTHS, NAMES, TextStates, compare_texts

CHUNK = 128
"""Pairs whose states are in memory together."""

VERSION = 1
"""Of what the features mean; those that were kept of another are never found again."""

Pairs = Sequence[tuple[str, str]]

ReadPairs = Callable[[Pairs], Tensor]
"""``N`` pairs of texts to their features, ``[N, F]``."""


def pair_reader(backbone: Backbone, max_length: int, *, keep_bytes: int | None = None) -> ReadPairs:
    """Return what computes the features of pairs of texts.

    Those of a pair depend on the pair alone, so they are the same in any company, as the states of a text are.

    Args:
        backbone: The frozen model; it computes where its parameters are.
        max_length: Tokens after which a text is cut.
        keep_bytes: Bound on the store of states, in which features are kept and found again; None keeps none.
    """

    def tokenise(texts: Sequence[str]) -> list[list[int]]:
        whole = [backbone.text_prefix + text for text in texts]
        found: list[list[int]] = backbone.tokenizer(whole, truncation=True, max_length=max_length)["input_ids"]
        return found

    def compute(pairs: Sequence[tuple[Ids, Ids]]) -> list[Tensor]:
        rows = []
        for start in range(0, len(pairs), CHUNK):
            some = pairs[start : start + CHUNK]
            known = _read([ids for pair in some for ids in pair], backbone)
            rows += [compare_texts(known[2 * i], known[2 * i + 1]) for i in range(len(some))]
        return rows

    def read(pairs: Pairs) -> Tensor:
        if not pairs:
            return torch.zeros(0, len(NAMES))
        first, second = (tokenise(side) for side in zip(*pairs, strict=True))
        ids = list(zip(first, second, strict=True))
        if keep_bytes is None:
            return torch.stack(compute(ids))
        names = [pair_digest(*pair) for pair in ids]
        found = keep_rows(
            _space(backbone),
            dict(zip(names, ids, strict=True)),
            lambda missing: [row.unsqueeze(0) for row in compute(missing)],
            width=len(NAMES),
            layer=_layers(backbone)[-1],
            max_bytes=keep_bytes,
        )
        return torch.cat([found[name] for name in names])

    return read


def _layers(backbone: Backbone) -> list[int]:
    return [round(depth * backbone.stack.num_layers) for depth in DEPTHS]


def _space(backbone: Backbone) -> Path:
    states = space_key(
        weights_digest=backbone.weights_digest,
        tokenizer_digest=backbone.tokenizer_digest,
        cut=_layers(backbone)[-1],
        dtype="float32",
        precision=backbone.stack.precision,
        device=_device(backbone).type,
    )
    key = f"pair features {VERSION}\0{count_prefix_tokens(backbone)}\0{states}"
    return states_folder() / hashlib.sha256(key.encode()).hexdigest()


def _device(backbone: Backbone) -> torch.device:
    return next(backbone.stack.parameters()).device


def _read(texts: Sequence[Ids], backbone: Backbone) -> list[TextStates]:
    """Return the content of each text, without the prefix and what opens and closes it."""
    stack, prefix_tokens = backbone.stack, count_prefix_tokens(backbone)
    found: dict[int, TextStates] = {}
    for rows in length_batches([len(text) for text in texts]):
        after = []
        with torch.inference_mode():
            states = pad_batch([texts[row] for row in rows], stack, _device(backbone))
            keep = content(states.mask, prefix_tokens=prefix_tokens, closing=stack.closing).cpu()
            for layer in _layers(backbone):
                states = at_layer(stack, states, layer)
                after.append(states.tokens.float().cpu())
        whole = torch.stack(after, 1)  # [B, L, T, H]
        for row, tokens, kept in zip(rows, whole, keep, strict=True):
            ids = [texts[row][i] for i in kept.nonzero().squeeze(1).tolist()]
            found[row] = TextStates(ids, tokens[:, kept])
    return [found[row] for row in range(len(texts))]
