"""Open a trained run for prediction: from its folder, or from the Hub."""

from __future__ import annotations

from contextlib import suppress
from os import PathLike
from pathlib import Path

import torch

from ..backbones.devices import find_device, list_devices
from ..backbones.loading import Backbone
from ..backbones.pooling import pooled_by
from ..core.errors import CheckpointError, RunError, shown
from ..core.written_recipe import read_written_recipe
from ..model.checkpoint import Identity, adaptation_path, load_adaptation, read_identity
from ..model.network import GraftedModel
from ..results.run_files import read_mark
from ..results.saved_trial import saved_trial
from ..tasks.kinds import Kind
from .detecting import letters_of
from .hub import fetch_run, is_on_hub
from .own_names import own_names
from .predictor import Adapted, kind_of_identity
from .trained_backbone import load_trained_backbone, up_to


def check_folder(folder: object) -> None:
    """Refuse what cannot name a run.

    Raises:
        CheckpointError: It is no text and no path.
    """
    if not isinstance(folder, str | PathLike):
        raise CheckpointError(f"expected the folder of a run, as 'runs/my-run', got {shown(folder)}")


def needed_columns(folder: Path | str) -> tuple[str, ...]:
    """Return columns of the rows that a run predicts on; none where it takes plain texts."""
    return kind_at(folder)[0].item_columns


def kind_at(folder: Path | str) -> tuple[Kind, Identity]:
    """Return the kind of task that a run was trained for, and who it is, without loading anything else.

    Raises:
        CheckpointError: There is no finished run.
    """
    check_folder(folder)
    identity = read_identity(adaptation_path(folder))
    return kind_of_identity(identity), identity


def load(
    folder: Path | str,
    *,
    backbone: Backbone | str | Path | None = None,
    device: str | None = None,
    trusting: bool = True,
) -> Adapted:
    """Load a run folder, or an ``adaptation.safetensors``, for prediction.

    Args:
        folder: What `lingraft run` wrote, or a method's folder in what `lingraft compare` wrote; or, as a text, the
            name of a run on the Hub (``owner/name``), where there is no such folder.
        backbone: Use this one, where it is, instead of the checkpoint that the run names; or where that is now.
        device: Where to compute: ``auto``, ``cpu``, ``cuda`` or ``mps``; by default where the run's recipe says, if
            this machine has it.
        trusting: Believe digests of the checkpoint that were made before of the same files.

    Raises:
        CheckpointError: There is no adaptation, or it belongs to another backbone.
        ConfigError: This machine has no such device.
        RunError: What says what the folder is, or what its recipe was, is damaged.
    """
    check_folder(folder)
    folder = fetch_run(str(folder)) if is_on_hub(folder) else folder
    path = adaptation_path(folder)
    read_mark(Path(folder))
    wanted = read_identity(path)
    if not isinstance(backbone, Backbone):
        found = find_device(device) if device is not None else device_of(Path(folder))
        backbone = load_trained_backbone(wanted, path, given=backbone, trusting=trusting)
        backbone.stack.to(found)
    backbone = pooled_by(up_to(wanted.layers, backbone, path), wanted.pooling)
    adaptation, identity = load_adaptation(path, backbone)
    adaptation.to(next(backbone.stack.parameters()).device)
    model = GraftedModel(backbone.stack, adaptation).eval()
    run = Path(folder)
    names, letters = own_names(run), letters_of(run)
    return Adapted(backbone, model, identity, names=names, letters=letters, trial=_trial_of(run))


def _trial_of(folder: Path) -> str:
    """Return the name of the trial that answers: a remark, so that what is damaged of the summary stops nobody."""
    with suppress(RunError):
        return saved_trial(folder)
    return ""


def device_of(folder: Path) -> torch.device:
    """Return the device that a run's recipe asks for, or the best there is where this machine does not have it."""
    wanted = str(read_written_recipe(folder).get("device", "auto"))
    return find_device(wanted if wanted in list_devices() else "auto")
