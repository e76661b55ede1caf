"""How far two languages are from each other, by the vectors of URIEL (Littell et al., 2017).

They come with the package ``lang2vec`` (``pip install 'lingraft[distances]'``), of which nothing but its tables is
read: it is not imported, and its one file that needs a pickle is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import DataError
from .languages import canonical

PACKAGE = "lang2vec"
CURE = "pip install 'lingraft[distances]'"

MISSING = -1.0
"""What stands for a value that nobody knows."""


@dataclass(frozen=True)
class Vectors:
    """A row of numbers for each language, by its ISO 639-3 code."""

    rows: Mapping[str, int]
    chosen: NDArray[np.bool_]
    """Which columns of the table they are."""
    table: NDArray[np.float32]

    def of(self, language: str) -> NDArray[np.float64] | None:
        """Return the numbers of a language, None where some are missing."""
        row = self.rows.get(canonical(language).partition("-")[0])
        if row is None or (self.table[row, self.chosen] == MISSING).any():
            return None
        return np.asarray(self.table[row, self.chosen], dtype=np.float64)


def distances(one: str, other: str) -> dict[str, float]:
    """Return the distances of two languages, between 0 and 1; those that are not known are left out.

    *Genetic*: the share of the branches of both in the tree of families that they do not have in common (Dice).
    *Geographic*: on the globe, where half the way round is 1; URIEL gives each language's distance to 299 points, and
    the largest difference of two such lists is the distance of the two but for the points' spacing. *Syntactic*: the
    cosine distance of features of word order and the like, some of which URIEL predicts.

    Args:
        one: Any spelling of a language.
        other: Of another.

    Raises:
        DataError: The tables are not as they are known.
    """
    found = {}
    for name, measure in MEASURES.items():
        vectors = read_vectors(name)
        a, b = (None, None) if vectors is None else (vectors.of(one), vectors.of(other))
        if a is not None and b is not None:
            found[name] = measure(a, b)
    return found


def has_distances() -> bool:
    """Return whether the package is there."""
    return _folder() is not None


def _genetic(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    both = a.sum() + b.sum()
    return float(1 - 2 * np.minimum(a, b).sum() / both) if both else 1.0


def _geographic(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.abs(a - b).max())


def _syntactic(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return 1 - float(a @ b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)


MEASURES = {"genetic": _genetic, "geographic": _geographic, "syntactic": _syntactic}
FILES = {
    "genetic": ("family_features.npz", ""),
    "geographic": ("geocoord_features.npz", ""),
    "syntactic": ("feature_predictions.npz", "S_"),
}
"""File of each measure, and what the names of its features begin with."""


@cache
def read_vectors(name: str) -> Vectors | None:
    """Read the table that a distance is made of, once; None where the package is missing.

    Raises:
        DataError: It is not as it is known.
    """
    folder = _folder()
    if folder is None:
        return None
    file, prefix = FILES[name]
    try:
        with np.load(folder / file, allow_pickle=False) as table:
            languages, features, data = (np.asarray(table[key]) for key in ("langs", "feats", "data"))
            chosen, data = np.char.startswith(features, prefix), data[:, :, 0]
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise DataError(f"{folder / file}: is not a table of {PACKAGE} 1.1 ({error}); {CURE}") from error
    return Vectors({str(code): row for row, code in enumerate(languages)}, chosen, data)


def _folder() -> Path | None:
    spec: Any = find_spec(PACKAGE)
    places = [Path(place) / "data" for place in spec.submodule_search_locations or ()] if spec else []
    return next((place for place in places if place.is_dir()), None)
