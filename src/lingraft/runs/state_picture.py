"""Source and target states of the same sentences in one plane: the content of ``states.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from ..backbones.encoding import Encoded
from ..backbones.loading import Backbone
from ..core.threads import one_thread
from ..model.prediction import predict_rows
from ..recipe.settings import Recipe
from ..results.schemas import FORMAT
from ..tasks.material import Materials
from .selection import load_selected_model, shared_sentences


def picture_states(
    folder: Path,
    recipe: Recipe,
    materials: Materials,
    backbone: Backbone,
    pools: Mapping[tuple[str, str], Encoded],
    device: torch.device,
) -> dict[str, Any]:
    """Return source and target states of the same sentences in one plane, before and after: ``states.json``.

    Args:
        folder: Of the run, with all its trials.
        recipe: Of the run.
        materials: Test sets and pairs.
        backbone: The frozen model.
        pools: Frozen states by language and purpose.
        device: Where to compute.
    """
    task = materials.task
    chosen, model = load_selected_model(folder, recipe, backbone, device)
    languages = {}
    for language in task.target_languages:
        sides = shared_sentences(materials, chosen, language)
        if sides is None:
            continue
        purpose, source_ids, target_ids = sides
        source, target = pools[task.source_language, purpose], pools[language, purpose]
        before = source.pooled(source_ids), target.pooled(target_ids)
        after = (
            predict_rows(model, source, source_ids, task.source_language)[1],
            predict_rows(model, target, target_ids, language)[1],
        )
        languages[language] = _in_one_plane(before, after)
    return {
        "format": FORMAT,
        "axes": "First two principal components of the mean states after the last layer, fitted on all four clouds. "
        "Sentences that were not trained on where the task is parallel, else pairs of the training.",
        "languages": languages,
    }


def _in_one_plane(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> dict[str, dict[str, Any]]:
    clouds = [cloud.numpy() for cloud in (*before, *after)]
    with one_thread():
        plane = PCA(n_components=2, svd_solver="full").fit(np.concatenate(clouds))
        points = [np.round(plane.transform(cloud), 4).tolist() for cloud in clouds]
    return {
        "before": {"source": points[0], "target": points[1]},
        "after": {"source": points[2], "target": points[3]},
    }
