"""``export``: a trained run in the formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .terminal import RunFolder, TrainedOn, console


def export(
    folder: RunFolder,
    to: Annotated[str, typer.Option("--to", help="The format; see `lingraft list formats`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder that is written; a new one.")],
    language: Annotated[
        str | None, typer.Option(help="Language whose parts are exported; default: the run's only one.")
    ] = None,
    network_alone: Annotated[
        bool,
        typer.Option("--network-alone", help="Without what the run ensembles with the network (map, n-grams)."),
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="ONNX: also with weights in 8 bits, and what that costs.")
    ] = False,
    backbone: TrainedOn = None,
) -> None:
    """Write a trained run for other tools: ONNX, a Hugging Face checkpoint, PEFT.

    ONNX answers the run's test texts before the folder appears, and a merged checkpoint's logits are compared with the
    run's. What a format cannot hold is refused.
    """
    from ..serving.export.writing import export_run

    for line in export_run(
        folder, to, output, language=language, ensembled=not network_alone, int8=int8, backbone=backbone
    ):
        console.print(line)
