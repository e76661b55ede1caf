"""``data.json``: counts, licences, what was removed, and the digest of all that a run reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..backbones.loading import Backbone
from ..core.examples import GOLD
from ..core.records import Features
from ..recipe.settings import Recipe
from ..results.schemas import FORMAT
from ..tasks.material import Materials
from .data_quality import describe_limits


def data_digest(features: Mapping[tuple[str, str], Sequence[Features]], backbone: Backbone) -> str:
    """Return the SHA-256 of all that a run reads: texts as token ids, labels, backbone, tokenizer."""
    digest = hashlib.sha256(f"{backbone.weights_digest} {backbone.tokenizer_digest}".encode())
    for key in sorted(features):
        digest.update(repr((key, [(f.example_id, f.input_ids, f.target) for f in features[key]])).encode())
    return digest.hexdigest()


def data_card(
    materials: Materials,
    features: Mapping[tuple[str, str], Sequence[Features]],
    backbone: Backbone,
    recipe: Recipe,
) -> dict[str, Any]:
    """Return counts, licences and what was removed: the content of ``data.json``.

    Args:
        materials: All that is learnt from and tested on.
        features: The same as token ids, by language and purpose.
        backbone: Whose tokenizer it was.
        recipe: Of the run.
    """
    from ..data.languages import display_name
    from ..data.tokenizer_coverage import coverage

    task, first = materials.task, materials.draws[0]
    languages = {}
    for code in task.languages:
        found = [f for key, group in features.items() if key[0] == code for f in group]
        tokens = sum(len(f.input_ids) for f in found)
        source = code == task.source_language
        pairs = () if source else first.pairs[code]
        covered = coverage(materials.written(code), backbone.tokenizer)
        languages[code] = {
            "name": display_name(code),
            "texts": {
                "train": len(first.labelled) if source else len(first.shots[code]),
                "dev": len(materials.dev) if source else 0,
                "test": len(materials.test[code]),
                "parallel": len(pairs),
            },
            "shots": 0 if source else max(len(draw.shots[code]) for draw in materials.draws),
            "pairs": len(pairs),
            "made": sum(pair[1].origin != GOLD for pair in pairs),
            "pseudo": len(first.pseudo.get(code, ())),
            "truncated": sum(f.truncated > 0 for f in found),
            "tokens": tokens,
            "unknown_rate": covered.unknown_rate,
            "pieces_per_word": covered.pieces_per_word,
        }
    return {
        "format": FORMAT,
        "task": task.name,
        "kind": task.kind.name,
        "words": asdict(task.kind.words),
        "metrics": {name: metric.formula for name, metric in task.kind.metrics.items()},
        "licence": task.licence,
        "citation": task.citation,
        "labels": list(task.labels),
        "classes": list(task.kind.classes),
        "source_language": task.source_language,
        "target_languages": list(task.target_languages),
        "languages": languages,
        "overlap_removed": dict(materials.overlap),
        "notes": [note for note in materials.notes if note not in materials.unscored],
        "limits": describe_limits(materials, features),
        "unscored": list(materials.unscored),
        "max_length": recipe.backbone.max_length,
        "digest": data_digest(features, backbone),
    }
