"""The backbone that a run was trained on, found again: also from another working directory, or after a move.

A run notes where the folder of its checkpoint was, and the digests of what was in it. The folder is sought there,
then by its name beside the run's folder and above it; whatever is found, loading compares the digests.
"""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

from ..backbones.checkpoint_files import BUNDLED
from ..backbones.depth import shortened
from ..backbones.loading import Backbone, load_backbone
from ..core.errors import CheckpointError
from ..model.checkpoint import Identity

LEVELS = 4
"""Folders above a run's that are looked into: ``runs/NAME/trials/TRIAL`` of a project beside ``model``."""


def load_trained_backbone(
    identity: Identity, path: Path, *, given: str | Path | None = None, trusting: bool = True
) -> Backbone:
    """Load what an adaptation was trained on.

    Args:
        identity: Of the adaptation.
        path: Its file.
        given: Where the checkpoint is now; by default it is sought.
        trusting: As for :func:`~lingraft.backbones.loading.load_backbone`.

    Raises:
        CheckpointError: It is not found, or cannot be loaded.
    """
    checkpoint = str(given) if given is not None else find_checkpoint(identity.checkpoint, path.parent)
    try:
        return load_backbone(
            checkpoint,
            text_prefix=identity.text_prefix,
            precision=identity.precision,
            weights=identity.rounded or "float32",
            trusting=trusting,
            writing=bool(identity.decoder_digest),
        )
    except CheckpointError as error:
        if given is not None or Path(checkpoint).expanduser().is_dir() or checkpoint.startswith(BUNDLED):
            raise
        written = f"{path} was trained on {identity.checkpoint} (digest {identity.weights_digest[:12]})"
        elsewhere = "say where it is now with --backbone, in Python load(…, backbone=…)"
        if Path(checkpoint).is_absolute():
            raise CheckpointError(f"{written}, which is neither there nor beside the run; {elsewhere}") from None
        raise CheckpointError(
            f"{written}, which is no folder relative to {Path.cwd()} and none beside the run; {elsewhere}. As the name "
            f"of a checkpoint on the Hub: {error}"
        ) from None


def up_to(layers: int | None, backbone: Backbone, path: Path) -> Backbone:
    """Return as many layers of a backbone as an adaptation was trained on.

    Raises:
        CheckpointError: It has fewer.
    """
    if layers is None:
        return backbone
    if layers > backbone.stack.num_layers:
        raise CheckpointError(
            f"{path} reads texts after layer {layers}, and {backbone.name} has {backbone.stack.num_layers}; load it "
            "onto the backbone that it was trained on"
        )
    return shortened(backbone, layers)


def find_checkpoint(checkpoint: str, near: Path) -> str:
    """Return where a checkpoint is: as it is written, or the folder of its name in ``near`` or a little above."""
    if checkpoint.startswith(BUNDLED) or Path(checkpoint).expanduser().is_dir():
        return checkpoint
    places = [near.resolve(), *near.resolve().parents][: LEVELS + 1]
    names = dict.fromkeys((checkpoint, PureWindowsPath(checkpoint).name))  # of either system: runs are moved
    found = (place / name for name in names for place in places)
    return next((str(folder) for folder in found if (folder / "config.json").is_file()), checkpoint)
