"""Whether a decoder still says its languages as well as before: its perplexity with the parts of a run in place.

In bits per token, the binary logarithm of perplexity, because an adapted model may have lost so much that perplexity
itself has dozens of digits. States begin at the cut, from the cache, and the language-model head reads the last of
them, though the run's own head reads them otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..backbones.causal import CausalStack
from ..backbones.encoding import Encoded
from ..backbones.walk import length_batches
from ..model.network import GraftedModel
from ..results.resampling import resample
from ..results.statistics import interval

MOST_TOKENS = 2_000
"""Of a language: a word's logits cost more than all layers of a small model, and its vocabulary is large."""

FEWEST = 8
"""Texts of a language that are read however long they are."""


def says_words(model: GraftedModel) -> bool:
    """Return whether a model is a decoder with its language-model head, whose last states a run may have changed."""
    stack = model.stack
    return isinstance(stack, CausalStack) and stack.unembeds is not None and not model.adaptation.leaves_states


def bits_before_and_after(model: GraftedModel, encoded: Encoded, ids: Sequence[str], language: str) -> dict[str, Any]:
    """Return the bits per token of texts, of the frozen and of the adapted model, with intervals over texts.

    Args:
        model: In eval mode, one that :func:`says_words`.
        encoded: Their states at the cut.
        ids: Of the texts, of which the first are read.
        language: Theirs, whose parts are used.
    """
    some = _first(ids, encoded)
    before, after = (
        _bits(model, encoded, some, language, adapters_enabled=enabled) for enabled in (False, True)
    )  # [N]
    tokens = np.array([encoded.lengths[encoded.row[one]] - 1 for one in some])
    table = np.stack([before, after, after - before, tokens], axis=1)  # [N, 4]
    sums, drawn = table.sum(0), resample(len(some)).sums(table)
    found = {
        name: dict(zip(("low", "high"), interval(drawn[:, column] / drawn[:, 3]), strict=True))
        | {"value": float(sums[column] / sums[3])}
        for column, name in enumerate(("before", "after", "difference"))
    }
    return {"n": len(some), "tokens": int(sums[3]), **found}


def _first(ids: Sequence[str], encoded: Encoded) -> list[str]:
    """Return the first texts of two tokens or more, as many as there is time to read."""
    long = [one for one in ids if encoded.lengths[encoded.row[one]] > 1]
    read = accumulate(encoded.lengths[encoded.row[one]] for one in long)
    fit = sum(tokens <= MOST_TOKENS for tokens in read)
    return long[: max(FEWEST, fit)]


def _bits(
    model: GraftedModel, encoded: Encoded, ids: Sequence[str], language: str, *, adapters_enabled: bool
) -> NDArray[np.float64]:
    """Return how many bits each text takes after its first token: ``[N]``."""
    stack: Any = model.merged(language) if adapters_enabled else model.stack
    device = next(model.parameters()).device
    rows = [encoded.row[one] for one in ids]
    found = np.zeros(len(ids))
    with torch.no_grad():
        for batch in length_batches([encoded.lengths[row] for row in rows]):
            states = encoded.table.batch([rows[place] for place in batch]).to(device)
            final = model.run_layers(states, language, adapters_enabled=adapters_enabled)
            for place, tokens in zip(batch, final.tokens, strict=True):
                said = torch.tensor(encoded.features[rows[place]].input_ids[1:], device=device)
                logits = stack.speak(tokens[: len(said)]).log_softmax(-1)  # [T - 1, V]
                found[place] = -logits.gather(1, said[:, None]).double().sum().item() / math.log(2)
    return found
