"""The texts of a run as tokens, and their frozen states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from transformers import PreTrainedTokenizerBase

from ..backbones.encoding import Advance, EncodeBatches, Encoded, encode, encode_here
from ..backbones.loading import Backbone
from ..core.examples import Example
from ..core.progress import Reporter
from ..core.records import Features
from ..recipe.settings import Recipe
from ..tasks.material import Materials
from ..training.pools import Pools


def tokenise(
    materials: Materials, tokenizer: PreTrainedTokenizerBase, text_prefix: str, recipe: Recipe
) -> dict[tuple[str, str], list[Features]]:
    """Return features of every text that a run needs, by language and purpose.

    Args:
        materials: All that is learnt from and tested on.
        tokenizer: Of the checkpoint.
        text_prefix: Put before each text.
        recipe: Of the run.
    """
    task = materials.task
    wanted: dict[tuple[str, str], Sequence[Example]] = {}
    for language in task.languages:
        wanted[language, "learn"] = materials.learn(language)
        wanted[language, "test"] = materials.test[language]
    wanted[task.source_language, "dev"] = materials.dev
    return {
        key: task.kind.encode(examples, tokenizer, recipe.backbone.max_length, text_prefix)
        for key, examples in wanted.items()
    }


def encode_all(
    features: Mapping[tuple[str, str], Sequence[Features]],
    backbone: Backbone,
    recipe: Recipe,
    cut: int,
    device: torch.device,
    reporter: Reporter,
    encode_batches: EncodeBatches = encode_here,
) -> Pools:
    """Return frozen states of all texts, computed once.

    Args:
        features: Token ids by language and purpose.
        backbone: The frozen model.
        recipe: Of the run, with the cache's settings.
        cut: Layer whose states are kept.
        device: Where to compute.
        reporter: What reports how it goes.
        encode_batches: Computes what is not in the cache.
    """
    total = sum(len(f.input_ids) for group in features.values() for f in group)
    with reporter.task("encoding", total) as advance:
        return {
            key: encode_texts(group, backbone, recipe, cut, device, advance, encode_batches)
            for key, group in features.items()
            if group
        }


def encode_texts(
    features: Sequence[Features],
    backbone: Backbone,
    recipe: Recipe,
    cut: int,
    device: torch.device,
    advance: Advance,
    encode_batches: EncodeBatches = encode_here,
) -> Encoded:
    """Return frozen states of some texts of one language, kept as the recipe's ``cache`` block says.

    Args:
        features: Tokenised texts.
        backbone: The frozen model.
        recipe: Of the run.
        cut: Layer whose states are kept.
        device: Where to compute.
        advance: Told of the tokens that were not in the cache.
        encode_batches: Computes what is not in the cache.
    """
    return encode(
        features,
        backbone,
        cut=cut,
        dtype=recipe.cache.dtype,
        max_bytes=int(recipe.cache.max_gigabytes * 1e9),
        device=device,
        advance=advance,
        encode_batches=encode_batches,
    )
