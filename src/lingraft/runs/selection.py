"""Which trial is saved for use, and which sentences its pictures and measurements are of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from ..backbones.loading import Backbone
from ..core.examples import Example
from ..core.records import Trial
from ..core.shots import order_of_shots
from ..model.checkpoint import load_adaptation
from ..model.network import GraftedModel
from ..recipe.settings import Recipe
from ..tasks.material import Materials
from ..training.finished import read_facts
from .folder import trials_of

PICTURED = 60
"""Translations drawn per language; more make a cloud and no picture."""


def select_trial(folder: Path, done: list[Trial]) -> Trial:
    """Return the trial to use: most shots, then the best source-language development score; never a target score."""

    def key(trial: Trial) -> tuple[float, float, int, int, int]:
        fact = read_facts(folder, trial.name)
        return order_of_shots(trial.k), fact["dev_score"], -trial.draw, -trial.seed, -trial.seed_of_order

    return max(done, key=key)


def load_selected_model(
    folder: Path, recipe: Recipe, backbone: Backbone, device: torch.device
) -> tuple[Trial, GraftedModel]:
    """Return the trial to use, and the model that it left, in eval mode.

    Args:
        folder: Of the run.
        recipe: Of the run.
        backbone: The frozen model.
        device: Where to put the model.
    """
    chosen = select_trial(folder, trials_of(recipe))
    adaptation, _ = load_adaptation(folder / "trials" / chosen.name / "adaptation.safetensors", backbone)
    return chosen, GraftedModel(backbone.stack, adaptation).to(device).eval()


def shared_sentences(
    materials: Materials, trial: Trial, language: str, limit: int = PICTURED
) -> tuple[str, list[str], list[str]] | None:
    """Return the same sentences in both languages: of the test sets where these are parallel, else training pairs.

    Args:
        materials: Test sets and draws.
        trial: The training whose pairs they may be.
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
    draw = next(draw for draw in materials.draws if (draw.k, draw.draw) == (trial.k, trial.draw))
    pairs = draw.pairs[language][:limit]
    if len(pairs) < 3:
        return None
    return "learn", [pair[0].id for pair in pairs], [pair[1].id for pair in pairs]


def _alone(examples: Sequence[Example]) -> dict[str, str]:
    """Return ids by group, of groups with one example: of several, none is known to be the translation."""
    sizes = Counter(example.group for example in examples)
    return {example.group: example.id for example in examples if sizes[example.group] == 1}
