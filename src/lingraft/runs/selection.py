"""Which trial is saved for use, and which sentences its pictures and measurements are of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from ..backbones.loading import Backbone
from ..core.files import read_object
from ..core.records import Example, Unit
from ..model.checkpoint import load_adaptation
from ..model.network import GraftedModel
from ..recipe.settings import Recipe
from ..tasks.material import Materials
from .folder import units

PICTURED = 60
"""Translations drawn per language; more make a cloud and no picture."""


def selected(folder: Path, done: list[Unit]) -> Unit:
    """The training to use: most shots, then the best source-language development score; never a target score."""

    def key(unit: Unit) -> tuple[int, float, int, int]:
        fact = read_object(folder / "units" / unit.name / "unit.json")
        return unit.k, fact["dev_score"], -unit.draw, -unit.seed

    return max(done, key=key)


def selected_model(folder: Path, recipe: Recipe, backbone: Backbone, device: torch.device) -> tuple[Unit, GraftedModel]:
    """The training to use, and the model that it left, in eval mode."""
    chosen = selected(folder, units(recipe))
    adaptation, _ = load_adaptation(folder / "units" / chosen.name / "adaptation.safetensors", backbone)
    return chosen, GraftedModel(backbone.stack, adaptation).to(device).eval()


def shared_sentences(
    materials: Materials, unit: Unit, language: str, limit: int = PICTURED
) -> tuple[str, list[str], list[str]] | None:
    """The same sentences in both languages: of the test sets where these are parallel, else training pairs.

    Args:
        materials: Test sets and draws.
        unit: The training whose pairs they may be.
        language: The target language.
        limit: How many at most.

    Returns:
        Purpose of the pool that holds them (``test`` or ``learn``), source ids, target ids; None for fewer than three.
    """
    source = materials.task.source_language
    if materials.task.parallel:
        ours, theirs = _alone(materials.test[source]), _alone(materials.test[language])
        groups = [group for group in theirs if group in ours][:limit]
        if len(groups) >= 3:
            return "test", [ours[group] for group in groups], [theirs[group] for group in groups]
    draw = next(draw for draw in materials.draws if (draw.k, draw.draw) == (unit.k, unit.draw))
    pairs = draw.pairs[language][:limit]
    if len(pairs) < 3:
        return None
    return "learn", [pair[0].id for pair in pairs], [pair[1].id for pair in pairs]


def _alone(examples: Sequence[Example]) -> dict[str, str]:
    """Ids by group, of groups with one example: of several, none is known to be the translation."""
    sizes = Counter(example.group for example in examples)
    return {example.group: example.id for example in examples if sizes[example.group] == 1}
