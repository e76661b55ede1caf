"""Distances by URIEL's tables, written here as the package has them."""

import sys

import numpy as np
import pytest

from lingraft.core.errors import DataError
from lingraft.data import language_distances
from lingraft.data.language_distances import distances, has_distances

LANGUAGES = ["deu", "eng", "yor"]
TABLES = {
    "family_features.npz": (["F_Germanic", "F_West", "F_Niger"], [[1, 1, 0], [1, 0, 0], [0, 0, 1]]),
    "geocoord_features.npz": (["GC_0_0", "GC_1_1"], [[0.1, 0.4], [0.2, 0.5], [0.4, -1.0]]),
    "feature_predictions.npz": (["S_SVO", "P_TONE", "S_SOV"], [[1, 0, 1], [1, 1, 0], [0, 1, 0]]),
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with such tables; what was read of another is forgotten."""
    folder = tmp_path / "lang2vec" / "data"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise ImportError('nobody imports it')", encoding="utf-8")
    for name, (features, rows) in TABLES.items():
        data = np.array(rows, dtype=np.float32)[:, :, None]
        np.savez(folder / name, feats=np.array(features), langs=np.array(LANGUAGES), sources=np.array(["X"]), data=data)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    language_distances.read_vectors.cache_clear()
    yield folder
    language_distances.read_vectors.cache_clear()


def test_distances_are_as_they_are_defined(package):
    """One of three branches of both is not common to the two, a tenth of half the globe, a right angle halved."""
    assert has_distances()
    found = distances("deu-Latn", "English")
    assert found == pytest.approx({"genetic": 1 / 3, "geographic": 0.1, "syntactic": 1 - 2**-0.5}, abs=1e-6)
    assert distances("eng", "eng") == pytest.approx({"genetic": 0, "geographic": 0, "syntactic": 0}, abs=1e-6)


def test_what_is_not_known_is_left_out(package):
    """A value that is missing, or a language that no table has."""
    assert sorted(distances("eng", "yor")) == ["genetic", "syntactic"]
    assert distances("eng", "swh") == {}


def test_a_table_with_pickles_is_refused(package):
    """Whatever it is called."""
    np.savez(package / "family_features.npz", feats=np.array([{}]), langs=np.array(["eng"]), data=np.array([{}]))
    with pytest.raises(DataError, match=r"family_features\.npz: is not a table of lang2vec"):
        distances("deu", "eng")
