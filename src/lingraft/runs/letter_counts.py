"""``letters.json`` of a run: how letters follow each other in its languages, so that it knows them again."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from ..core.examples import GOLD
from ..core.files import write_json
from ..data.character_model import FEWEST, KEPT, MOST, CharacterModel
from ..tasks.material import Materials


def write_letter_counts(folder: Path, materials: Materials) -> None:
    """Write the frequent character n-grams of each language that there is text to learn from; test texts are not read.

    Args:
        folder: Of the run.
        materials: What it learns from.
    """
    task = materials.task
    found = {code: _texts(materials, code) for code in (task.source_language, *task.target_languages)}
    counts = {
        code: dict(CharacterModel.of_texts(islice(texts, MOST)).counts.most_common(KEPT))
        for code, texts in found.items()
        if len(texts) >= FEWEST
    }
    write_json(folder / "letters.json", {"ngrams": counts})


def _texts(materials: Materials, language: str) -> list[str]:
    """Return texts that people wrote in a language, those of its test set left out."""
    dev = materials.dev if language == materials.task.source_language else ()
    written = [example for example in (*dev, *materials.learn(language)) if example.origin == GOLD]
    return [*(text for example in written for text in example.texts), *materials.unlabelled.get(language, ())]
