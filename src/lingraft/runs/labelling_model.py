"""The model that labels pseudo-data, before the run has one of its own: a finished run, or a head fitted now.

What is fitted now is what costs nothing beside reading the texts: a head on frozen states, of the source language's
labels alone; for classification, with the closed-form map and n-grams of each language that has translations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..backbones.encoding import Encoded
from ..backbones.loading import Backbone
from ..core.errors import ConfigError
from ..core.progress import Reporter
from ..core.records import Trial
from ..model.adaptation import Adaptation
from ..model.checkpoint import adaptation_path, read_identity
from ..model.heads import build_head
from ..model.network import GraftedModel
from ..recipe.settings import Recipe
from ..serving.predictor import Adapted, load
from ..tasks import Task
from ..tasks.material import Draw, Materials
from ..training.ensembling import fit_ensembles
from ..training.head_fits import fit_frozen_head
from ..training.pools import Context, pools_of
from ..training.trial import identity
from .checks import resolve_cut
from .preparation import encode_all, tokenise

EPOCHS = 6
"""Of a head that reads tokens, where the recipe trains nothing by gradient and does not say."""


def load_labelling_model(folder: Path, task: Task, backbone: Backbone | None = None) -> Adapted:
    """Load a finished run that labels what a task is to learn from.

    Args:
        folder: The run.
        task: Which is to be learnt.
        backbone: Of the run that learns; used again where the finished run has the same.

    Raises:
        ConfigError: The run gives no labels of this task.
        CheckpointError: There is no finished run, or its backbone is not found.
    """
    found = read_identity(adaptation_path(folder))
    if problem := _other_labels(found.kind, found.labels, task):
        raise ConfigError([f"pseudo.predictor: {folder} {problem}; name a run of the same task, or leave it out"])
    same = backbone is not None and backbone.weights_digest == found.weights_digest
    return load(folder, backbone=backbone if same else None)


def _other_labels(kind: str, labels: Sequence[str], task: Task) -> str:
    """Say in what a run's answers are none of a task's; nothing where they are."""
    if kind != task.kind.name:
        return f"is a run of {kind}, and {task.name} is {task.kind.name}"
    if strange := sorted(set(labels) - set(task.labels)):
        return f"gives {strange[0]!r}, which is no label of {task.name}"
    return ""


def fit_labelling_model(
    recipe: Recipe,
    materials: Materials,
    draw: Draw,
    backbone: Backbone,
    device: torch.device,
    reporter: Reporter,
) -> Adapted:
    """Fit a head on frozen states to the source language's labels of a draw, and languages' closed forms beside it.

    Args:
        recipe: Of the run that learns from what the model says.
        materials: With the development set that the head's strength is chosen on.
        draw: Whose labels and translations are used; its shots are not.
        backbone: The frozen model.
        device: Where to compute.
        reporter: What reports how it goes.
    """
    kind = materials.task.kind
    plain = _without_training(recipe)
    nothing: dict[str, tuple[()]] = dict.fromkeys(draw.pairs, ())
    own = Draw(0, draw.draw, draw.labelled, nothing, draw.pairs if kind.class_logits else nothing)
    alone = replace(materials, draws=(own,), test=dict.fromkeys(materials.test, ()))
    # Pooled states are kept at any cut, so those of the run do; a head on tokens reads the last layer.
    layers = backbone.stack.num_layers
    cut = resolve_cut(recipe, layers) if kind.class_logits else layers
    features = tokenise(alone, backbone.tokenizer, backbone.text_prefix, plain)
    encoded = encode_all(features, backbone, plain, cut, device, reporter)
    context = Context(plain, alone, backbone, cut, encoded, device)
    trial = Trial(own.k, own.draw, recipe.seeds[0])
    pools = pools_of(trial, context)
    before = fit_frozen_head(pools.source, (), pools.standardiser, trial, context, reporter)
    assert before is not None  # it is trained where it cannot be fitted
    head = build_head(kind, backbone.stack)
    before.write_to(head)
    adaptation = Adaptation(None, None, head)
    if kind.class_logits:
        for language, ensemble in fit_ensembles(_pooled, head, pools, context).items():
            adaptation.add_ensemble(language, ensemble)
    model = GraftedModel(backbone.stack, adaptation.to(device)).eval()
    return Adapted(backbone, model, identity(context, tuple(adaptation.ensembles)))


def _without_training(recipe: Recipe) -> Recipe:
    """Return the recipe with a frozen head and nothing else."""
    epochs = recipe.train.head_epochs or recipe.train.num_train_epochs or EPOCHS
    train = {"num_train_epochs": 0, "head_epochs": epochs, "warm_start": True, "continue_from": None}
    parts: dict[str, object] = {"prompt": None, "adapter": None, "alignment": []}
    return recipe.model_copy(update={**parts, "train": recipe.train.model_copy(update=train)})


def _pooled(encoded: Encoded, ids: Sequence[str], language: str) -> Tensor:
    return encoded.pooled(ids)
