"""Training that goes on from a finished run: which parts must be alike, and how they get its values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ..backbones.loading import Backbone
from ..core.errors import CheckpointError
from .checkpoint import UNFROZEN, Identity, adaptation_path, check_backbone, read_adaptation, refuse_parts_of_peft

SAME_PARTS = ("kind", "labels", "cut", "pooling", "prompt", "adapter")
"""What a run and what goes on from it have alike, by the names that an identity has for it."""

SAME = "make the settings of task, prompt and adapter the same"


def continue_from(folder: Path, adaptation: nn.Module, own: Identity, backbone: Backbone) -> None:
    """Give new parts the values that a finished run learned; those of languages that it did not know keep theirs.

    Args:
        folder: The run, or a method's folder of a comparison.
        adaptation: The new parts.
        own: What they are for.
        backbone: The frozen model.

    Raises:
        CheckpointError: The run was for something else, or has other parts.
    """
    path = adaptation_path(folder)
    tensors, theirs = read_adaptation(path)
    check_backbone(path, theirs, backbone)
    refuse_parts_of_peft(path, tensors, theirs)
    refuse_other_parts(folder, theirs, {what: getattr(own, what) for what in SAME_PARTS})
    values = adaptation.state_dict()
    strange = [name for name in values if name not in tensors and not _of_language(name)]
    if strange:
        cure = "freeze the same layers" if strange[0].startswith(UNFROZEN) else SAME
        raise CheckpointError(f"train.continue_from: {folder} has nothing for {strange[0]}; {cure}")
    for name, value in values.items():
        if name in tensors and tensors[name].shape != value.shape:
            raise CheckpointError(
                f"train.continue_from: {folder} has {name} of shape {tuple(tensors[name].shape)}, and this recipe one "
                f"of {tuple(value.shape)}; {SAME}"
            )
    adaptation.load_state_dict({name: tensors.get(name, value) for name, value in values.items()})


def refuse_other_parts(folder: Path, theirs: Identity, own: Mapping[str, Any]) -> None:
    """Refuse to go on from a run that was for something else than what is to be trained.

    Args:
        folder: Of the run.
        theirs: What it was for.
        own: What is to be trained: values by the names in ``SAME_PARTS``.

    Raises:
        CheckpointError: With the first that differs.
    """
    if theirs.lora is not None:
        raise CheckpointError(
            f"train.continue_from: {folder} ended with LoRA in all layers, which a training that caches states cannot "
            "begin with; give a run whose layers below the cut stayed frozen"
        )
    for what in SAME_PARTS:
        there, here = getattr(theirs, what), own[what]
        if there != here:
            raise CheckpointError(
                f"train.continue_from: {folder} was trained with {what} {there!r}, this recipe has {here!r}; make them "
                "the same"
            )


def _of_language(parameter: str) -> bool:
    """Return whether a parameter belongs to one language."""
    return ".language." in parameter
