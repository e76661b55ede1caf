"""Retention: how much of the model's ability is kept (forgetting).

Four looks at the adaptation that a run chose, and a fifth in decoders. The source language's development
score, of the frozen head and of the adapted model. Retrieval: does a sentence still find its translation
among all others? Similarity: how far did the state of one and the same sentence move? With the adapters
disabled, is the network exactly the model that it was grafted onto? And does a decoder still say each
language as well (:mod:`lingraft.runs.perplexity`)?

Numbers are about as many sentences as they say, ``N``; states are ``[N, H]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..backbones.encoding import Encoded
from ..backbones.loading import Backbone
from ..core.records import Features, Trial
from ..model.network import GraftedModel
from ..model.prediction import adapted_states
from ..recipe.settings import Recipe
from ..results.resampling import Resampling, resample
from ..results.schemas import FORMAT
from ..results.statistics import Ends, interval_of_groups
from ..tasks.material import Materials
from ..training.finished import read_facts
from .perplexity import bits_before_and_after, says_words
from .selection import load_selected_model, shared_sentences

Floats = NDArray[np.float64]

MOST = 2000
"""Sentences per language at most: similarity of all with all takes the square of their number."""

MOST_TOKENS = 20_000
"""And tokens: they are computed several times, and that must not take as long as the training."""

TokensOf = Mapping[tuple[str, str], Mapping[str, int]]
"""Tokens of an example's first row, by language and purpose, then by its id."""

TIE = 1e-6
"""Cosines that differ by less are the same: repeated sentences, and states that have collapsed."""


def retention(
    folder: Path,
    recipe: Recipe,
    materials: Materials,
    backbone: Backbone,
    pools: Mapping[tuple[str, str], Encoded],
    device: torch.device,
) -> dict[str, Any]:
    """Measure how much of the model's ability the chosen adaptation kept: ``retention.json``.

    Args:
        folder: The run folder, with all its trials.
        recipe: The run's recipe.
        materials: Development and test sets, and pairs.
        backbone: The frozen model.
        pools: Frozen states by language and purpose.
        device: Where to compute.
    """
    task, source = materials.task, materials.task.source_language
    chosen, model = load_selected_model(folder, recipe, backbone, device)

    tokens = {key: first_row_tokens(encoded.features) for key, encoded in pools.items()}
    looked_at = sentences_by_themselves(materials, tokens)
    similar, disabled, said = {}, [], {}
    speaks = says_words(model) and recipe.backbone.layers is None  # words are said after the last layer
    for language, (purpose, ids) in looked_at.items():
        encoded = pools[language, purpose]
        similar[language] = {"sentences": purpose, **similarity(*_before_and_after(model, encoded, ids, language))}
        disabled.append(compare_with_base(model, encoded, ids, language))
        if speaks:
            said[language] = {"sentences": purpose, **bits_before_and_after(model, encoded, ids, language)}

    found = {}
    for language in task.target_languages:
        shared = sentences_of_both(materials, chosen, language, tokens)
        if shared is None:
            continue
        purpose, sides = shared
        states = [
            _before_and_after(model, pools[code, purpose], ids, code)
            for code, ids in zip((source, language), sides, strict=True)
        ]
        found[language] = {"sentences": purpose, **retrieval(*zip(*states, strict=True))}

    fact = read_facts(folder, chosen.name)
    begun_elsewhere = recipe.train.continue_from is not None  # then the change is not that from the frozen head
    change = {} if begun_elsewhere else fact.get("source_change") or {}
    scale = max(1.0, *(size for _, size in disabled))
    return {
        "format": FORMAT,
        "trial": chosen.name,
        "source_score": {
            "metric": next(iter(task.kind.metrics)),
            "n": len(materials.dev),
            "before": fact["head_dev_score"],
            "after": fact["dev_score"],
            "low": change.get("low"),
            "high": change.get("high"),
        }
        if fact["head_dev_score"] is not None
        else None,
        "retrieval": found,
        "similarity": similar,
        **({"bits_per_token": said} if said else {}),
        "adapters_disabled": {
            "texts": sum(len(ids) for _, ids in looked_at.values()),
            "max_difference": max(difference for difference, _ in disabled),
            "tolerance": recipe.rounding(backbone.stack.precision) * scale,
        },
    }


def sentences_by_themselves(materials: Materials, tokens: TokensOf) -> dict[str, tuple[str, list[str]]]:
    """Return purpose and ids of the sentences whose states are compared before and after, by language."""
    source = materials.task.source_language
    found = {source: ("dev", _some([example.id for example in materials.dev], tokens[source, "dev"]))}
    for code in materials.task.target_languages:
        purpose = "test" if materials.test[code] else "learn"
        if known := tokens.get((code, purpose)):
            examples = materials.test[code] or materials.learn(code)
            found[code] = purpose, _some([example.id for example in examples], known)
    return found


def sentences_of_both(
    materials: Materials, trial: Trial, language: str, tokens: TokensOf
) -> tuple[str, list[list[str]]] | None:
    """Return purpose and ids, of both sides, of the sentences that retrieval is measured on; None for too few.

    Args:
        materials: Test sets and pairs.
        trial: The trial whose pairs they may be.
        language: A target language.
        tokens: Of each example's first row, by language and purpose.
    """
    shared = shared_sentences(materials, trial, language, limit=MOST)
    if shared is None:
        return None
    purpose, *sides = shared
    codes = materials.task.source_language, language
    few = min(len(_some(ids, tokens[code, purpose])) for code, ids in zip(codes, sides, strict=True))
    return purpose, [ids[:few] for ids in sides]


def first_row_tokens(features: Sequence[Features]) -> dict[str, int]:
    """Return the tokens of each example's first row."""
    return {feature.example_id: len(feature.input_ids) for feature in reversed(features)}


def _some(ids: Sequence[str], tokens: Mapping[str, int]) -> list[str]:
    """Return the first examples, as many as there is time to look at."""
    chosen, sum_of_tokens = list[str](), 0
    for one in ids[:MOST]:
        sum_of_tokens += tokens[one]
        if sum_of_tokens > MOST_TOKENS and len(chosen) >= 8:
            break
        chosen.append(one)
    return chosen


def retrieval(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Return how often a sentence's nearest neighbour in the other language is its translation (recall at 1).

    Args:
        before: Frozen states of source and target sentences, ``[N, H]`` each; row ``i`` translates row ``i``.
        after: The same for the adapted model.

    Returns:
        Mean over both directions, before and after, and the paired difference, with 95 % intervals over sentences.
    """
    rows = [np.stack([hits(source, target), hits(target, source)]) for source, target in (before, after)]  # [2, N]
    values = {"before": rows[0], "after": rows[1], "difference": rows[1] - rows[0]}
    drawn = resample(rows[0].shape[1])
    ends = {"before": (0.0, 1.0), "after": (0.0, 1.0), "difference": (-1.0, 1.0)}
    return {"n": rows[0].shape[1]} | {what: _estimate(rows, drawn, ends[what]) for what, rows in values.items()}


def hits(queries: Tensor, candidates: Tensor) -> Floats:
    """Return whether the candidate nearest to query ``i``, by cosine, is candidate ``i``: ``[N]``.

    Each side is centred by its own mean, before as after: what sets whole languages apart is then no
    obstacle, so that the frozen model is not made to look worse than it is. Candidates that are
    equally near share the hit.
    """
    cosines = _directions(queries) @ _directions(candidates).T  # [N, N]
    nearest = cosines >= cosines.max(1, keepdims=True) - TIE
    return np.asarray(np.diag(nearest) / nearest.sum(1), dtype=np.float64)


def similarity(before: Tensor, after: Tensor) -> dict[str, float | None]:
    """Return how similar the states of the same sentences are, ``[N, H]`` before and after: cosine and CKA.

    The cosine is the mean over sentences, from the frozen states' mean as origin: sentence states are
    crowded in one corner of the space, where every cosine is near 1. CKA asks whether sentences still
    lie to each other as they did, however the whole was turned, moved or scaled.
    """
    origin = before.mean(0)
    cosine = torch.nn.functional.cosine_similarity(before - origin, after - origin).mean().item()
    return {"n": len(before), "cosine": cosine, "cka": linear_cka(_array(before), _array(after))}


def linear_cka(x: Floats, y: Floats) -> float | None:
    """Return linear centred kernel alignment (Kornblith et al., 2019) of ``[N, H]`` and ``[N, H]``, without its bias.

    With fewer sentences than dimensions the plain estimate is high for unrelated states; this is the
    debiased one (Song et al., 2012, of HSIC; Nguyen et al., 2021, in CKA), whose mean is 0 for them.
    None for fewer than four sentences; 0 where one side does not vary.
    """
    n = len(x)
    if n < 4:
        return None
    grams = [(side - side.mean(0)) @ (side - side.mean(0)).T for side in (x, y)]  # [N, N]
    for gram in grams:
        np.fill_diagonal(gram, 0.0)

    def hsic(k: Floats, m: Floats) -> float:
        whole = k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * k.sum(0) @ m.sum(0) / (n - 2)
        return float(((k * m).sum() + whole) / (n * (n - 3)))

    spread = hsic(grams[0], grams[0]) * hsic(grams[1], grams[1])
    return hsic(grams[0], grams[1]) / spread**0.5 if spread > 0 else 0.0


def compare_with_base(model: GraftedModel, encoded: Encoded, ids: Sequence[str], language: str) -> tuple[float, float]:
    """Compare the frozen states of the cache with the model's, adapters disabled.

    Args:
        model: In eval mode.
        encoded: States at the cut, and pooled after the last layer.
        ids: Of the examples.
        language: Whose parts are disabled.

    Returns:
        The largest difference, and the largest frozen state.
    """
    frozen, now = encoded.pooled(ids), adapted_states(model, encoded, ids, language, adapters_enabled=False)
    return (now - frozen).abs().max().item(), frozen.abs().max().item()


def _before_and_after(
    model: GraftedModel, encoded: Encoded, ids: Sequence[str], language: str
) -> tuple[Tensor, Tensor]:
    """Return pooled states ``[N, H]`` of the frozen and of the adapted model."""
    return encoded.pooled(ids), adapted_states(model, encoded, ids, language, adapters_enabled=True)


def _estimate(values: Floats, drawn: Resampling, ends: Ends) -> dict[str, float]:
    """Return the mean of ``[2, N]`` with its interval over sentences."""
    low, high = interval_of_groups(drawn.means(values), drawn.groups, ends)
    return {"value": float(values.mean()), "low": low, "high": high}


def _directions(states: Tensor) -> Floats:
    """Return states from their mean, of length 1: ``[N, H]``."""
    centred = _array(states) - _array(states).mean(0)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12), dtype=np.float64)


def _array(states: Tensor) -> Floats:
    return states.double().numpy()
