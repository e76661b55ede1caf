"""Word alignments of translations by a frozen backbone, for losses, projection and mining alike.

``token_aligner`` speaks of positions in rows of token ids, as losses do; ``word_aligner`` of words, as
whoever carries tags and spans over does. Both read the states at two thirds of the depth (layer 8 of
12; layers 4 to 10 behave alike, the last gives fewer and worse pairs) and look up first what was aligned
before.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...backbones.kept_rows import Ids
from ...backbones.loading import Backbone
from ...backbones.state_cache import space_key
from ...backbones.walk import length_batches, states_at
from ...core.stored_states import states_folder
from ...model.word_alignment import align_tokens, aligned_layer, content, count_prefix_tokens
from ...recipe.settings import CacheSettings
from ...tasks.kinds.word_splitting import Place, split_words
from .kept_alignments import keep_alignments

METHOD = "mutual argmax"
"""Named in the space of what is kept; another name is another way to align, and finds none of it."""

MAX_BYTES = int(CacheSettings().max_gigabytes * 1e9)

CHUNK = 128
"""Pairs whose states are in memory together."""

TokenAligner = Callable[[Sequence[tuple[Ids, Ids]]], list[Tensor]]
"""Pairs of texts as token ids, special tokens included, to ``[K, 2]`` each: source position, target position."""

Words = str | Sequence[str]
"""A text, which is split into words as :func:`~lingraft.tasks.kinds.word_splitting.split_words` does, or its words."""

WordAligner = Callable[[Sequence[tuple[Words, Words]]], list[list[tuple[int, int]]]]
"""Pairs of texts to the words that translate each other: number of the source word, number of the target word."""


def token_aligner(backbone: Backbone, device: torch.device, *, max_bytes: int = MAX_BYTES) -> TokenAligner:
    """Return what aligns the tokens of translations, and keeps what it found beside the cached states.

    Special tokens and the checkpoint's prefix are aligned with nothing.

    Args:
        backbone: The frozen model.
        device: Where it computes.
        max_bytes: Bound on the store of states.
    """
    stack = backbone.stack
    layer, prefix_tokens = aligned_layer(stack.num_layers), count_prefix_tokens(backbone)
    states_there = space_key(
        weights_digest=backbone.weights_digest,
        tokenizer_digest=backbone.tokenizer_digest,
        cut=layer,
        dtype="float32",
        precision=stack.precision,
        device=device.type,
    )
    key = f"{METHOD}\0{prefix_tokens}\0{states_there}"
    space = states_folder() / hashlib.sha256(key.encode()).hexdigest()

    def read(texts: Sequence[Ids]) -> list[tuple[Tensor, Tensor]]:
        """Return the content states of each text, ``[T, H]``, and their positions in it."""
        found: dict[int, tuple[Tensor, Tensor]] = {}
        for rows in length_batches([len(text) for text in texts]):
            states = states_at([texts[row] for row in rows], stack, layer, device)
            keep = content(states.mask, prefix_tokens=prefix_tokens, closing=stack.closing)
            for row, tokens, kept in zip(rows, states.tokens, keep, strict=True):
                found[row] = tokens[kept], kept.nonzero().squeeze(1)
        return [found[row] for row in range(len(texts))]

    def compute(pairs: Sequence[tuple[Ids, Ids]]) -> list[Tensor]:
        aligned = []
        for start in range(0, len(pairs), CHUNK):
            sides = (read(side) for side in zip(*pairs[start : start + CHUNK], strict=True))
            for (source, rows), (target, columns) in zip(*sides, strict=True):
                a, b = align_tokens(source, target).unbind(1)
                aligned.append(torch.stack([rows[a], columns[b]], dim=1))
        return aligned

    return lambda pairs: keep_alignments(space, pairs, compute, layer=layer, max_bytes=max_bytes)


def word_aligner(backbone: Backbone, device: torch.device, *, max_bytes: int = MAX_BYTES) -> WordAligner:
    """Return what aligns the words of translations: two are aligned where tokens of theirs are.

    A word may be aligned with several. What a text has beyond the checkpoint's longest input is aligned with nothing.

    Args:
        backbone: The frozen model.
        device: Where it computes.
        max_bytes: Bound on the store of states.
    """
    align = token_aligner(backbone, device, max_bytes=max_bytes)

    def words_aligned(pairs: Sequence[tuple[Words, Words]]) -> list[list[tuple[int, int]]]:
        if not pairs:
            return []
        sources, targets = (_tokenise(side, backbone) for side in zip(*pairs, strict=True))
        rows = [(source[0], target[0]) for source, target in zip(sources, targets, strict=True)]
        found = []
        for (_, ours), (_, theirs), tokens in zip(sources, targets, align(rows), strict=True):
            words = {(ours[a], theirs[b]) for a, b in tokens.tolist()}
            found.append(sorted((a, b) for a, b in words if a is not None and b is not None))
        return found

    return words_aligned


def _tokenise(texts: Sequence[Words], backbone: Backbone) -> list[tuple[list[int], list[int | None]]]:
    """Return the token ids of each text, and the number of the word that each token is of."""
    prefix, found = backbone.text_prefix, []
    whole = [text if isinstance(text, str) else " ".join(text) for text in texts]
    encoded = backbone.tokenizer(
        [prefix + text for text in whole],
        truncation=True,
        max_length=backbone.max_length,
        return_offsets_mapping=True,
    )
    for text, words, ids, offsets in zip(whole, texts, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        places = split_words(text) if isinstance(words, str) else _places(words)
        found.append((ids, [_word_at(a - len(prefix), b - len(prefix), text, places) for a, b in offsets]))
    return found


def _places(words: Sequence[str]) -> list[Place]:
    """Return where each word stands in the text that blanks make of them."""
    places, start = [], 0
    for word in words:
        places.append((start, start + len(word)))
        start += len(word) + 1
    return places


def _word_at(start: int, end: int, text: str, places: Sequence[Place]) -> int | None:
    """Return the word that a token begins in; None for blanks, special tokens and the prefix."""
    while start < end and (start < 0 or text[start].isspace()):
        start += 1
    if start >= end:
        return None
    found = bisect_right(places, (start, len(text) + 1)) - 1
    return found if found >= 0 and start < places[found][1] else None
