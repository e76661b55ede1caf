"""What is fitted without a gradient, before any training, on frozen states.

The frozen head on mapped states, with n-gram classifiers; of pairs of texts, the head with a comparison classifier.
Every run that fits one of these reports it beside the frozen head, for it takes seconds: training has to beat it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..backbones.encoding import Encoded
from ..core.examples import Example
from ..model.adaptation import Adaptation
from ..model.heads import build_head
from .ensembling import fit_ensembles, logits_of, texts_of
from .frozen_head import Answer, Before
from .head_fits import fit_last_layer, has_shots
from .pair_comparison import compared_examples, fit_comparison
from .pools import Context, TrialPools
from .source_change import development_set


def fit_instant(head: Before | None, pools: TrialPools, context: Context) -> Answer | None:
    """Return what answers in closed form; None where the run itself is no more than that, or has nothing to map by."""
    kind, recipe = context.materials.task.kind, context.recipe
    if head is None or not kind.fitted or recipe.train.num_train_epochs == 0:
        return None
    compared = compared_examples(pools.draw, context.materials, recipe)
    made = any(pool.weights for pool in pools.targets)
    fitted = (texts_of(pools.draw, pool.language, context.materials, recipe) for pool in pools.targets)
    if not (compared or made or any(fitted)):
        return None
    frozen = build_head(kind, context.backbone.stack)
    head.write_to(frozen)
    adaptation = Adaptation(None, None, frozen)

    def read(encoded: Encoded, ids: Sequence[str], language: str) -> Tensor:
        return encoded.pooled(ids)

    untrained = recipe.train.model_copy(update={"num_train_epochs": 0, "last_layer_strength": None})
    alone = replace(context, recipe=recipe.model_copy(update={"train": untrained}))
    if has_shots(pools):
        fit_last_layer(read, frozen, pools, alone).write_to(frozen)

    if compared:
        dev, examples, language = development_set(context)
        logits = logits_of(frozen, dev.pooled([example.id for example in examples]))
        adaptation.comparison = fit_comparison(list(logits), pools.draw, context)
    for language, ensemble in fit_ensembles(read, frozen, pools, context).items():
        adaptation.add_ensemble(language, ensemble)

    def answer(encoded: Encoded, examples: Sequence[Example], language: str) -> list[Tensor]:
        states = encoded.pooled([example.id for example in examples])
        with torch.no_grad():
            logits = frozen.read_pooled(states)
        assert logits is not None  # a head that can be fitted reads pooled states
        return adaptation.ensemble(examples, list(logits), states, language)

    return answer if adaptation.ensembles or compared or made else None  # n-grams may have nothing in common
