"""Prove that what was saved gives back what was trained.

``python -m lingraft.serving.verification FOLDER`` is the check that every run ends with: a fresh process
loads what was saved and must give the logits that training ended with.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from ..backbones.checkpoint_files import first_line
from ..backbones.walk import states_at
from ..core.errors import CheckpointError, LingraftError
from ..core.examples import from_json
from ..core.files import read_object
from ..core.written_recipe import run_again
from ..results.method_schemas import PROBES
from ..results.schemas import SUMMARY
from .loading import device_of, load


def verify(folder: Path) -> dict[str, float]:
    """Compare the logits of every saved adaptation of a run with those that its training ended with.

    Raises:
        CheckpointError: They differ by more than rounding.
    """
    backbone, largest, texts, device = None, 0.0, 0, device_of(folder)
    frozen = cache(states_at)  # those of the probes are the same in all trials
    asked = read_object(folder / "summary.json", SUMMARY).get(
        "trials"
    )  # others may lie beside, of seeds that were taken back
    for written in sorted((folder / "trials").glob("*/probe.json")):
        place, probe = written.parent, read_object(written, PROBES)
        if asked is not None and place.name not in asked:
            continue
        adapted = load(place / "adaptation.safetensors", backbone=backbone, device=device.type, trusting=False)
        adapted, backbone = replace(adapted, frozen=frozen), adapted.backbone
        for language, rows in probe["languages"].items():
            try:
                examples = [from_json(row["example"], adapted.kind.example) for row in rows]
                expected = torch.cat([torch.tensor(one).flatten() for row in rows for one in row["logits"]])
            except (ValueError, TypeError, RuntimeError) as error:
                raise CheckpointError(f"{written}, {language}: {first_line(error)}; {run_again(written)}") from None
            found = torch.cat([one.flatten() for one in adapted.logits(examples, language)])
            if found.shape != expected.shape:
                raise CheckpointError(
                    f"{written}, {language}: {len(found)} logits for {len(expected)}; {run_again(written)}"
                )
            difference = (found - expected).abs().max().item()
            if not difference <= probe["tolerance"] * max(1.0, expected.abs().max().item()):
                raise CheckpointError(
                    f"{place.name}, {language}: logits differ by {difference:.2g} from those of the training; "
                    f"at most {probe['tolerance']:g} is rounding"
                )
            largest, texts = max(largest, difference), texts + len(rows)
    return {"max_difference": largest, "texts": texts}


if __name__ == "__main__":
    try:
        print(json.dumps(verify(Path(sys.argv[1]))))  # noqa: T201
    except LingraftError as error:
        sys.exit(str(error))
