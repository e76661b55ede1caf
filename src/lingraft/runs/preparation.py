"""What all trials of a recipe share: data, backbone, frozen states."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from ..backbones.depth import first_layers, shortened
from ..backbones.devices import find_device
from ..backbones.encoding import EncodeBatches, encode_here
from ..backbones.loading import Backbone, empty_stack, load_backbone
from ..backbones.pooling import pooled_by
from ..backbones.precision import choose_precision
from ..core.errors import CheckpointError, ConfigError
from ..core.examples import ParallelPair
from ..core.progress import Reporter
from ..recipe.settings import Recipe
from ..results.caveats import is_non_commercial
from ..tasks.material import Materials
from ..training.pools import Context
from .checks import depth_of, gather_checked, refuse_other_start, resolve_cut
from .data_card import data_card
from .frozen_states import encode_all, tokenise
from .identity import precision_of
from .labelling_model import asked_of_models
from .mined_lexicon import mined_entries
from .needs import refuse_too_large
from .pseudo_data import NAME as PSEUDO
from .pseudo_data import make_pseudo_data
from .reading_layer import choose_reading_layer
from .workload import Workload

Loaded = Callable[[], tuple[Backbone, torch.device]]
"""Gives the frozen model, and the device where it is."""


def prepare(
    recipe: Recipe,
    reporter: Reporter,
    *,
    tested: bool = True,
    encoded: bool = True,
    writing: bool = False,
    encode_batches: EncodeBatches = encode_here,
) -> tuple[Context, dict[str, Any], float]:
    """Prepare all that the trials of a recipe share: data, backbone, frozen states.

    Args:
        recipe: The recipe.
        reporter: What reports how it goes.
        tested: Whether there are test sets; without them they are not even encoded.
        encoded: Whether frozen states are needed; without them there are no pools.
        writing: Whether the decoder of an encoder-decoder is needed, whatever the task is.
        encode_batches: Computes those that are not in the cache.

    Returns:
        The stage's result, the content of ``data.json``, and the seconds that encoding took.
    """
    materials, backbone_there = gather_made(recipe, recipe.output_dir, PSEUDO, reporter, writing=writing)
    materials = materials if tested else materials.without_tests()
    if is_non_commercial(materials.task.licence):
        reporter.say(f"the data of {materials.task.name} may not be used commercially: {materials.task.licence}")
    for sentence in materials.unscored:
        reporter.say(sentence)
    backbone, device = backbone_there()
    resolve_cut(recipe, backbone.stack.num_layers)
    features = tokenise(materials, backbone.tokenizer, backbone.text_prefix, recipe)
    backbone, choice = choose_reading_layer(recipe, materials, features, backbone, device, reporter)
    cut = resolve_cut(recipe, backbone.stack.num_layers)
    refuse_other_start(recipe, materials.task, cut)
    card = data_card(materials, features, backbone, recipe)
    card["notes"] += [choice] if choice else []
    if not encoded:
        return Context(recipe, materials, backbone, cut, {}, device), card, 0.0
    with suppress(CheckpointError):  # a folder that parts begin with may be gone since, and what was saved has them
        shapes = empty_stack(recipe.backbone.checkpoint, writing=writing or not materials.task.kind.head_learns)
        shapes = first_layers(shapes, backbone.stack.num_layers)
        counted = Workload(recipe, materials, features, shapes, cut)
        refuse_too_large(counted.needs, device)
    started = reporter.clock()
    pools = encode_all(features, backbone, recipe, cut, device, reporter, encode_batches)
    encoding = reporter.clock() - started
    return Context(recipe, materials, backbone, cut, pools, device), card, encoding


def gather_made(
    recipe: Recipe, folder: Path, name: str, reporter: Reporter, *, writing: bool = False
) -> tuple[Materials, Loaded]:
    """Gather what a recipe learns from, with what is mined and made for it, which is kept.

    Args:
        recipe: The recipe.
        folder: Where lexicons and pseudo-data are kept.
        name: Of the file of pseudo-data in it.
        reporter: What reports how it goes.
        writing: Whether the decoder of an encoder-decoder is needed, whatever the task is.

    Returns:
        The materials, and what gives the frozen model, which is loaded when first asked for.
    """

    @cache
    def loaded(writing: bool) -> tuple[Backbone, torch.device]:
        return load(recipe, reporter, writing=writing)

    def backbone_for(materials: Materials) -> Loaded:
        return partial(loaded, writing or not materials.task.kind.head_learns)

    def mine(materials: Materials) -> dict[str, list[ParallelPair]]:
        return mined_entries(materials, *backbone_for(materials)(), folder, reporter.say)

    def make(materials: Materials, recipe: Recipe) -> Materials:
        of_model = asked_of_models(recipe, backbone_for(materials), reporter)
        return make_pseudo_data(materials, recipe, folder / name, reporter.say, of_model, reporter.warn)

    materials = gather_checked(recipe, mine, make)
    return materials, backbone_for(materials)


def load(recipe: Recipe, reporter: Reporter, *, writing: bool = False) -> tuple[Backbone, torch.device]:
    """Load the frozen model onto the device that the recipe asks for, in the precision that is best there.

    Args:
        recipe: The recipe.
        reporter: What reports how it goes.
        writing: Whether it answers in words, which an encoder-decoder does with its decoder.
    """
    device = find_device(recipe.device)
    reporter.say(f"loading {recipe.backbone.checkpoint}")
    wanted = recipe.backbone
    backbone = load_backbone(wanted.checkpoint, text_prefix=wanted.text_prefix, weights=wanted.weights, writing=writing)
    backbone = pooled_by(backbone, wanted.pooling)
    backbone = shortened(backbone, depth_of(recipe, backbone.stack.num_layers))
    kept = precision_of(recipe.output_dir)
    choice = choose_precision(recipe.backbone.precision, device, backbone.stack.width, kept=kept)
    backbone.stack.precision = choice.precision
    reporter.say(f"computing in {choice.precision} on {device.type}")
    if recipe.backbone.max_length > backbone.max_length:
        raise ConfigError(
            [f"backbone.max_length: {recipe.backbone.max_length} is more than the checkpoint's {backbone.max_length}"]
        )
    backbone.stack.to(device)
    return backbone, device
