"""How many of a language's tokens another one has, too: what a head has learnt of a token then says something."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from .tokenizer_coverage import MOST_TEXTS

Ids = Sequence[Sequence[int]]
"""Tokens of some texts."""


def count_shared(target: Ids, source: Ids) -> float | None:
    """Return the share of the target's tokens that occur in the source's texts; None where the target has none.

    A token counts as often as it occurs, as in the type overlap of Lin et al. (2019) it does not: there are few texts,
    so rare types are seen by chance.

    Args:
        target: Token ids of texts in the target language, without special tokens.
        source: Those of the other language.
    """
    known, tokens = set(chain.from_iterable(source)), list(chain.from_iterable(target))
    return sum(token in known for token in tokens) / len(tokens) if tokens else None


def token_ids(texts: Sequence[str], tokenizer: Any) -> list[list[int]]:
    """Return the tokens of texts (of the first ``MOST_TEXTS``), without prefix, special and unknown tokens."""
    some = list(texts[:MOST_TEXTS])
    ids = tokenizer(some, add_special_tokens=False, verbose=False)["input_ids"] if some else []
    return [[token for token in text if token != tokenizer.unk_token_id] for text in ids]
