"""The model that labels pseudo-data, before the run has one of its own: a finished run, or one fitted now.

For classification that is a head on frozen states, of the source language's labels alone, with the closed-form map and
n-grams of each language that has translations: it costs little beside reading the texts. A head on frozen states finds
too few of the names in a sentence (span F1 0.37 on English development sentences of PAN-X, where 0.58 is learnt), so
for other kinds the recipe's own parts are trained on the source language's labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ..backbones.encoding import Encoded
from ..backbones.loading import Backbone
from ..core.errors import ConfigError
from ..core.examples import Example
from ..core.progress import Reporter
from ..core.records import Prediction, Trial
from ..model.adaptation import Adaptation
from ..model.checkpoint import adaptation_path, read_identity
from ..model.heads import build_head
from ..model.network import GraftedModel
from ..recipe.settings import Recipe
from ..serving.loading import load
from ..serving.predictor import Adapted
from ..tasks.material import Draw, Materials
from ..training.alignment.word_aligner import WordAligner, word_aligner
from ..training.ensembling import fit_ensembles
from ..training.frozen_head import Before
from ..training.grafting import graft, identity
from ..training.head_fits import fit_frozen_head
from ..training.legs import as_trained
from ..training.loop import Hooks
from ..training.pools import Context, TrialPools, pools_of
from ..training.state import TrainingState
from ..training.trial import train_network
from .checks import resolve_cut
from .frozen_states import encode_all, tokenise
from .pseudo_data import OfModel


def asked_of_models(
    recipe: Recipe, backbone: Callable[[], tuple[Backbone, torch.device]], reporter: Reporter
) -> OfModel:
    """Return what gives generators ``predict``, ``second_view`` and ``align`` of :class:`lingraft.pseudo.Sources`.

    Nothing is loaded or fitted before a generator asks, and a model is fitted once for all languages of a draw.

    Args:
        recipe: Of the run that learns from what a model says.
        backbone: Gives the frozen model, and where it computes.
        reporter: What reports how it goes.
    """
    models: dict[int | None, Adapted] = {}

    def model_of(materials: Materials, draw: Draw) -> Adapted:
        named = recipe.pseudo is not None and recipe.pseudo.predictor is not None
        key = None if named else draw.draw
        if key not in models:
            models.clear()
            models[key] = (
                load_labelling_model(recipe, backbone()[0])
                if named
                else fit_labelling_model(recipe, materials, draw, *backbone(), reporter)
            )
        return models[key]

    @cache
    def aligner() -> WordAligner:
        return word_aligner(*backbone(), max_bytes=int(recipe.cache.max_gigabytes * 1e9))

    def of_model(materials: Materials, draw: Draw) -> dict[str, Any]:
        def predict(examples: Sequence[Example], language: str) -> list[Prediction]:
            model = model_of(materials, draw)
            said = model.predict_examples(examples, language, probabilities=True)
            return [in_order_of(materials.task.kind.classes, model.kind.classes, one) for one in said]

        def second_view(examples: Sequence[Example], language: str) -> list[Prediction]:
            model = model_of(materials, draw)
            if language not in model.model.adaptation.ensembles:
                raise ConfigError(
                    [f"pseudo: the model that labels has no map and no n-grams of {language}, so no second view of it"]
                )
            return model.predict_examples(examples, language, ensembled=False)

        def align(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[list[tuple[int, int]]]:
            return aligner()(pairs)

        return {"predict": predict, "second_view": second_view, "align": align}

    return of_model


def in_order_of(wanted: Sequence[str], classes: Sequence[str], said: Prediction) -> Prediction:
    """Return a prediction with the probabilities of other classes, or of the same in another order.

    Args:
        wanted: The classes that there are to be probabilities of; a model that was not taught one never says it.
        classes: Of the model that said it.
        said: With the probability of each of ``classes``, or of none.
    """
    if not said.probabilities or tuple(wanted) == tuple(classes):
        return said
    known = dict(zip(classes, said.probabilities, strict=True))
    return replace(said, probabilities=tuple(known.get(name, 0.0) for name in wanted))


def load_labelling_model(recipe: Recipe, backbone: Backbone) -> Adapted:
    """Load the finished run that a recipe names; with the backbone of the run that learns, where it has the same.

    Raises:
        CheckpointError: There is no finished run, or its backbone is not found.
    """
    assert recipe.pseudo is not None
    assert recipe.pseudo.predictor is not None
    folder = recipe.pseudo.predictor.expanduser()
    same = read_identity(adaptation_path(folder)).weights_digest == backbone.weights_digest
    return load(folder, backbone=backbone if same else None, device=recipe.device)


def fit_labelling_model(
    recipe: Recipe,
    materials: Materials,
    draw: Draw,
    backbone: Backbone,
    device: torch.device,
    reporter: Reporter,
) -> Adapted:
    """Fit a model to the source language's labels of a draw.

    Args:
        recipe: Of the run that learns from what the model says.
        materials: With the development set that the head's strength is chosen on.
        draw: Whose labels are learnt, and to whose translations maps are fitted; its shots are not used.
        backbone: The frozen model.
        device: Where to compute.
        reporter: What reports how it goes.
    """
    reporter.say("fitting the model that labels pseudo-data to the source language's labels")
    kind = materials.task.kind
    nothing: dict[str, tuple[()]] = dict.fromkeys(draw.pairs, ())
    own = Draw(0, draw.draw, draw.labelled, nothing, draw.pairs if kind.class_logits else nothing)
    alone = replace(materials, draws=(own,), test=dict.fromkeys(materials.test, ()))
    cut = resolve_cut(recipe, backbone.stack.num_layers)
    plain = recipe.model_copy(update={"pseudo": None, "consistency": None, "alignment": []})
    features = tokenise(alone, backbone.tokenizer, backbone.text_prefix, plain)
    encoded = encode_all(features, backbone, plain, cut, device, reporter)
    context = Context(plain, alone, backbone, cut, encoded, device)
    pools = pools_of(Trial(own.k, own.draw, recipe.seeds[0]), context)
    head = fit_frozen_head(pools.source, (), pools.standardiser, pools.trial, context, reporter)
    if kind.class_logits and head is not None:
        return _in_closed_form(head, pools, context)
    model = graft(context, pools, head).to(device)
    train_network(model, pools, context, TrainingState(), Hooks(clock=reporter.clock), reporter)
    return Adapted(backbone, model.eval(), identity(as_trained(context), ()))


def _in_closed_form(before: Before, pools: TrialPools, context: Context) -> Adapted:
    """Return the frozen head, with the map and the n-grams of each language that has translations."""
    plain = context.recipe.model_copy(update={"prompt": None, "adapter": None})
    stack, context = context.backbone.stack, replace(context, recipe=plain)
    head = build_head(context.materials.task.kind, stack)
    before.write_to(head)
    adaptation = Adaptation(None, None, head)
    for language, ensemble in fit_ensembles(_pooled, head, pools, context).items():
        adaptation.add_ensemble(language, ensemble)
    model = GraftedModel(stack, adaptation.to(context.device)).eval()
    return Adapted(context.backbone, model, identity(context, tuple(adaptation.ensembles)))


def _pooled(encoded: Encoded, ids: Sequence[str], language: str) -> Tensor:
    return encoded.pooled(ids)
