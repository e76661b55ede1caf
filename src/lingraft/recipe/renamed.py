"""Settings that have, or had, other names: the error for one names ours."""

from __future__ import annotations

from typing import Any

RENAMED = {
    "train.keep_weight": "train.source_regularisation",
    "train.refit_strength": "train.last_layer_strength",
    "train.lexical_strength": "train.ngram_classifier",
    "train.ngram_classifier_strength": "train.ngram_classifier",
    "alignment.special": "alignment.prefix_tokens",
    "train.epochs": "train.num_train_epochs",
    "train.num_epochs": "train.num_train_epochs",
    "train.lr": "train.learning_rate",
    "train.per_device_train_batch_size": "train.batch_size",
}
"""An old name, or one of another library -> ours, as paths into a recipe; positions in lists are left out."""


def take_renamed(values: Any, location: str = "", path: str = "") -> list[str]:
    """Take settings with old names out of a recipe, and out of the fragments of its comparison.

    Args:
        values: A recipe as plain data, or a part of one; changed in place.
        location: Where ``values`` lie in the recipe, for messages: ``alignment.0.``.
        path: The same as :data:`RENAMED` writes it: ``alignment.``.

    Returns:
        A problem for each setting that was found, with its new name.
    """
    problems = []
    if isinstance(values, list):
        for i, item in enumerate(values):
            problems += take_renamed(item, f"{location}{i}.", path)
    elif isinstance(values, dict):
        for key in list(values):
            old = f"{path}{key}"
            if old in RENAMED:
                del values[key]
                problems.append(f"{location}{key}: is called {RENAMED[old].rpartition('.')[2]} here; rename it")
            else:  # a fragment of a comparison is a recipe again
                problems += take_renamed(
                    values[key], f"{location}{key}.", "" if path == "compare.variants." else f"{old}."
                )
    return problems
