"""Fit the comparison classifier of a task on pairs of texts, and the weights that ensemble it with the network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor

from ..core.examples import Example
from ..data.sampling import rank
from ..model.comparison.classifier import ComparisonClassifier
from ..model.comparison.reader import Pairs, pair_reader
from ..model.comparison.trees import fit_trees
from ..model.ensembles import stack_logits
from ..recipe.settings import Recipe
from ..tasks.material import Draw, Materials
from .pools import Context

FEWEST_PAIRS = 50
"""With fewer labelled pairs there is little to learn comparing from, and with fewer to weigh by, no weights."""

MOST_PAIRS = 5_000
"""Of more labelled pairs, so many of the draw: what more would gain does not pay for the time of the trees."""

EXTENT = 2 / 3
"""Share of a forward pass that reading a pair takes besides."""


def compared_examples(draw: Draw, materials: Materials, recipe: Recipe) -> list[Example]:
    """Return the labelled pairs of all languages that are compared: those that the network learns from.

    None where the recipe or the task has no comparison, where there are too few, or none of some class.

    Args:
        draw: What the trial learns from.
        materials: With the development set.
        recipe: Says what is fitted.
    """
    if not (recipe.train.comparison_classifier and materials.task.kind.class_logits and materials.paired):
        return []
    own = draw.labelled if recipe.pseudo is None or recipe.pseudo.gold else ()
    found = [*own, *chain.from_iterable((*draw.shots.values(), *draw.pseudo.values()))]
    if len(found) > MOST_PAIRS:  # not the head of the file: it may be sorted by class
        found = sorted(found, key=lambda example: rank(draw.draw, "compared", example.id))[:MOST_PAIRS]
    enough = len(found) >= FEWEST_PAIRS <= len(materials.dev)
    return found if enough and {str(one.gold) for one in found} == set(materials.task.labels) else []


def fit_comparison(network: Sequence[Tensor], draw: Draw, context: Context) -> ComparisonClassifier:
    """Fit trees to the labelled pairs, and weigh network and trees on the development set, which neither has seen.

    There are some: see :func:`compared_examples`.

    Args:
        network: The network's logits ``[C]`` of each development example.
        draw: What the trial learns from.
        context: What all trials share.
    """
    recipe, materials = context.recipe, context.materials
    examples = compared_examples(draw, materials, recipe)
    keep = int(recipe.cache.max_gigabytes * 1e9)
    read = pair_reader(context.backbone, recipe.backbone.max_length, keep_bytes=keep)
    targets = _classes(examples, context)
    trees = fit_trees(read(pairs_of(examples)).numpy(), targets, [example.weight for example in examples])
    with torch.no_grad():
        of_trees = trees(read(pairs_of(materials.dev))).numpy()
    right = torch.eye(len(materials.task.labels))[_classes(materials.dev, context)]
    weights = stack_logits([torch.stack(list(network)).float().cpu().numpy(), of_trees], right.numpy())
    return ComparisonClassifier(torch.tensor(weights).float(), trees, read)


def pairs_of(examples: Sequence[Example]) -> Pairs:
    """Return the two texts of each example."""
    return [(example.texts[0], example.texts[1]) for example in examples]


def _classes(examples: Sequence[Example], context: Context) -> list[int]:
    index = {label: i for i, label in enumerate(context.materials.task.labels)}
    return [index[str(example.gold)] for example in examples]
