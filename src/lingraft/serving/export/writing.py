"""Load a run, and write it in a format: the whole folder or none of it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ...core.errors import CheckpointError
from ...core.files import TEMPORARY, publish_folder
from ...core.registry import unknown
from ...data.languages import among, canonical, display_name
from ..loading import load
from ..predictor import Adapted
from . import Trained, Write, formats

ELSEWHERE = {
    "gguf": (
        "llama.cpp, which reads GGUF, generates text with a decoder; it has no place for a head that reads states, for "
        "deep prompts, maps and n-grams. LoRA alone gets there by way of --to peft and llama.cpp's own "
        "convert_lora_to_gguf.py; for answers without lingraft there is --to onnx"
    )
}
"""Formats that people ask for and that cannot hold a run, and what to do."""


def export_run(
    run: Path,
    format: str,
    output: Path,
    *,
    language: str | None = None,
    ensembled: bool = True,
    int8: bool = False,
    backbone: Path | None = None,
) -> list[str]:
    """Write a run in a format, and return lines that say what was written.

    Args:
        run: What `lingraft run` wrote, or a method's folder of a comparison.
        format: Name of the format.
        output: The folder to write; not there yet.
        language: Whose parts are exported; by default the run's only target.
        ensembled: With what the run ensembles with the network.
        int8: With weights of 8 bits besides, where the format has them.
        backbone: Where the checkpoint is now.

    Raises:
        CheckpointError: The run cannot be loaded, there is no such format, or it cannot hold the run; or the folder is
            there already, or the language is none of the run's.
    """
    if format in ELSEWHERE:
        raise CheckpointError(f"--to {format}: {ELSEWHERE[format]}")
    if format not in formats:
        raise CheckpointError(f"--to: {unknown(format, formats.names(), what='format')}")
    if int8 and format != "onnx":
        raise CheckpointError(f"--int8 is for --to onnx; {format} has weights as they are")
    if output.exists():
        raise CheckpointError(f"--output: {output} is there already; name a new folder")
    write: Write = formats.build(format)
    adapted = load(run, backbone=backbone, device="cpu")
    if rounded := adapted.identity.rounded:
        raise CheckpointError(
            f"{run} was trained on matrices of {rounded[0]} bit, and answers with others would differ; ask it with "
            "lingraft predict or serve, or train with backbone.weights=float32"
        )
    code, said = _language(adapted, language)
    trained = Trained(run, adapted, code, ensembled, int8)
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=TEMPORARY) as scratch:
        made = Path(scratch) / output.name
        made.mkdir()
        said += write(trained, made)
        publish_folder(made, output)
    return [*said, f"written: {output}"]


def _language(adapted: Adapted, asked: str | None) -> tuple[str, list[str]]:
    """Return the language that is exported, and what is to be said of it.

    Raises:
        CheckpointError: None is named and there are several, or it is none of the run's.
    """
    trained = (*adapted.identity.languages, adapted.identity.source_language)
    known = tuple(dict.fromkeys((*adapted.targets, *trained)))
    listed = ", ".join(f"{display_name(code)} ({code})" for code in known)
    targets = adapted.targets or known
    if asked is None and len(targets) > 1:
        raise CheckpointError(f"an export answers in one language; name it with --language: {listed}")
    code = among(canonical(asked or targets[0]), known)
    if code not in known:
        raise CheckpointError(f"--language: nothing was trained for {display_name(code)}; the run has {listed}")
    if code in trained:
        return code, []
    return code, [f"nothing was trained for {display_name(code)} alone: what all languages share is exported"]
