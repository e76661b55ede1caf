"""What the scores of a trial came from: version, revision, digests of what it was made of, device and threads.

Each line of ``scores.jsonl`` carries it, so that a table may be traced when its folder is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from ..core.files import read_object, write_lines
from ..core.json_text import to_json
from ..core.records import Score
from ..core.version import __version__, source_revision
from .pools import Context

OF_BACKBONE = ("backbone", "tokenizer", "precision")
DIGITS = 16


def write_scores(place: Path, scores: Sequence[Score], context: Context) -> None:
    """Write the scores of a trial into its folder, each with what it came from.

    Args:
        place: The trial's folder, whose ``identity.json`` says what it was made of.
        scores: In order.
        context: What it was trained in.
    """
    identity = read_object(place / "identity.json")
    data = {key: value for key, value in identity.items() if key not in ("settings", *OF_BACKBONE)}
    made = {
        "version": __version__,
        "revision": source_revision(),
        "recipe": str(identity.get("settings", ""))[:DIGITS],
        "data": hashlib.sha256(to_json(dict(sorted(data.items()))).encode()).hexdigest()[:DIGITS],
        "backbone": str(identity.get("backbone", ""))[:DIGITS],
        "device": context.device.type,
        "precision": context.backbone.stack.precision,
        "threads": torch.get_num_threads(),
    }
    write_lines(place / "scores.jsonl", [asdict(score) | made for score in scores])
