"""What other libraries' formats can hold of an adaptation: changes to the weights themselves, and a linear head."""

from __future__ import annotations

from ...core.errors import CheckpointError
from ...model.adapters.lora import LoraAdapter
from . import Trained, refuse_ensemble


def refuse_all_but_weights(trained: Trained, format: str) -> None:
    """Refuse an adaptation with a part that is neither LoRA, nor trained weights of the model, nor the head.

    Args:
        trained: What is exported.
        format: What messages call the format.

    Raises:
        CheckpointError: With the part, and what to do.
    """
    identity, adaptation = trained.adapted.identity, trained.adapted.model.adaptation
    if not trained.adapted.kind.head_learns:
        raise CheckpointError(
            f"{trained.folder} answers in words ({identity.kind}), and {format} is written of runs with a head; ask it "
            "with lingraft predict or serve"
        )
    if trained.adapted.kind.numeric:
        raise CheckpointError(
            f"{trained.folder} answers by numbers in units of its training data ({identity.kind}), which {format} has "
            "no place for; ask it with lingraft predict or serve"
        )
    if identity.layers is not None:
        raise CheckpointError(
            f"{trained.folder} reads texts after layer {identity.layers} (backbone.layers), and {format} names "
            "the whole checkpoint; use --to onnx, or train without it"
        )
    parts = {
        "prompt": None if adaptation.prompt is None else identity.prompt,
        "adapter": None if isinstance(adaptation.adapter, LoraAdapter | None) else identity.adapter,
    }
    for part, described in parts.items():
        if described is not None:
            raise CheckpointError(
                f"{trained.folder} has the {part} {described['name']}, which {format} cannot hold; train with "
                "prompt=null and adapter.name=lora, or, for classes and tags, use --to onnx"
            )
    refuse_ensemble(trained, format)
