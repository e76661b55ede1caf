"""A run folder whose trials are done and whose end is not: what the end of a run works on."""

from dataclasses import dataclass
from pathlib import Path

import torch

from invented import world_recipe
from lingraft.backbones.loading import Backbone
from lingraft.core.progress import Reporter
from lingraft.recipe.settings import Recipe
from lingraft.runs.checks import resolve_cut
from lingraft.runs.folder import trials_of
from lingraft.runs.frozen_states import encode_all, tokenise
from lingraft.tasks.gathering import gather
from lingraft.tasks.material import Materials
from lingraft.training.legs import as_trained
from lingraft.training.pools import Context, Pools
from lingraft.training.trial import run_trial

CPU = torch.device("cpu")
SMALL = ["train.num_train_epochs=2", "train.batch_size=8", "train.learning_rate=1e-2", "seeds=[1]", "device=cpu"]
PARTS = [
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]


@dataclass(frozen=True)
class TrainedRun:
    """What the functions that end a run are given."""

    folder: Path
    recipe: Recipe
    materials: Materials
    backbone: Backbone
    pools: Pools

    @property
    def given(self):
        """The arguments of ``picture`` and ``retention``."""
        return self.folder, self.recipe, self.materials, self.backbone, self.pools, CPU


def trained_run(world, backbone, folder, *overrides, cut=1, **changes) -> TrainedRun:
    """Train a small recipe on the invented world."""
    settings = {"checkpoint": "a tiny one", "max_length": 32, "cut": cut}
    changes = {"parallel": {"files": str(world / "pairs.{language}.tsv")}} | changes
    recipe = world_recipe(world, [*SMALL, f"output_dir={folder}", *overrides], backbone=settings, **changes)
    materials = gather(recipe)
    cut = resolve_cut(recipe, backbone.stack.num_layers)
    features = tokenise(materials, backbone.tokenizer, backbone.text_prefix, recipe)
    reporter = Reporter(quiet=True)
    pools = encode_all(features, backbone, recipe, cut, CPU, reporter)
    context = Context(recipe, materials, backbone, cut, pools, CPU)
    for trial in trials_of(recipe):
        run_trial(trial, folder, context, reporter)
    return TrainedRun(folder, recipe, materials, backbone, as_trained(context).pools)
