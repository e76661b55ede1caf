"""The languages that a run knows again by their letters, where nobody says which one a text is in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..core.files import read_object
from ..data.character_model import CharacterModel
from ..results.schemas import LETTERS


def letters_of(folder: Path) -> dict[str, CharacterModel]:
    """Read ``letters.json`` of a run folder: how letters follow each other, by language; empty where there is none.

    Raises:
        RunError: It is damaged.
    """
    path = folder / "letters.json"
    if not path.is_file():
        return {}
    found: Mapping[str, Mapping[str, int]] = read_object(path, LETTERS)["ngrams"]
    return {code: CharacterModel(counts) for code, counts in found.items()}
