"""Rows of new pieces: of their translations, or distributed as the rows that there are."""

import numpy as np
import pytest

from lingraft.serving.vocabularies.rows import drawn_rows, initial_rows, translated_rows

WIDTH = 12


@pytest.fixture
def words():
    """Rows around a mean, longer in some directions than in others."""
    rng = np.random.default_rng(7)
    return (rng.standard_normal((60, WIDTH)) @ rng.standard_normal((WIDTH, WIDTH)) + 3).astype(np.float32)


def pairs(count, seed):
    """Sentences of old pieces 0 … 9, and their translations word by word into new pieces 60 … 69."""
    rng = np.random.default_rng(seed)
    sources = [list(map(int, rng.integers(0, 10, rng.integers(2, 6)))) for _ in range(count)]
    return sources, [[5, *(60 + one for one in source)] for source in sources]


def test_drawn_rows_have_the_mean_and_covariance_of_the_vocabulary(words):
    """In every direction, and no two are alike."""
    drawn = drawn_rows(words, 20_000)

    assert np.allclose(drawn.mean(0), words.mean(0), atol=0.15)
    expected = np.cov(words, rowvar=False, bias=True)
    assert np.allclose(np.cov(drawn, rowvar=False), expected, atol=0.05 * np.abs(expected).max())
    assert len(np.unique(drawn, axis=0)) == 20_000


def test_a_piece_gets_the_row_of_the_word_that_it_translates(words):
    """Of all old rows, each new one is nearest to that of its word in direction."""
    sources, targets = pairs(200, 1)

    rows = initial_rows(words, sources, targets, 10)

    centred = words - words[:10].mean(0)
    found = rows - words.mean(0)
    alike = (found @ centred.T) / np.linalg.norm(found, axis=1)[:, None] / np.linalg.norm(centred, axis=1)
    assert list(alike.argmax(1)) == list(range(10))


def test_directions_are_those_of_ridge_regression_and_lengths_those_of_the_vocabulary(words):
    """As its primal form has them, (X'X + λI)⁻¹X'Y, for one of the strengths that are tried."""
    sources, targets = pairs(40, 2)
    shares = np.array(
        [
            [target.count(60 + piece) / len(source) for piece in range(10)]
            for source, target in zip(sources, targets, strict=True)
        ]
    )
    means = np.array([words[source].mean(0) for source in sources], dtype=np.float64)

    rows = translated_rows(words, means, shares) - words.mean(0)

    length = np.sqrt(((words - words.mean(0)) ** 2).sum(1).mean())
    assert np.allclose(np.linalg.norm(rows, axis=1), length, rtol=1e-5)
    centred = means - means.mean(0)
    size = (shares @ shares.T).trace() / len(shares)
    tried = []
    for strength in size * 10.0 ** np.arange(-4.0, 3.01, 0.25):
        primal = np.linalg.solve(shares.T @ shares + strength * np.eye(10), shares.T @ centred)
        tried.append(np.abs(rows / length - primal / np.linalg.norm(primal, axis=1, keepdims=True)).max())
    assert min(tried) < 1e-5


def test_pieces_of_no_translation_are_drawn(words):
    """As they are without any pair."""
    sources, targets = pairs(30, 3)

    rows, drawn = initial_rows(words, sources, targets, 13), initial_rows(words, [], [], 13)

    assert np.array_equal(rows[10:], drawn[10:])
    assert not np.isclose(rows[:10], drawn[:10]).any()
    assert np.array_equal(initial_rows(words, sources, [[5, 6]] * 30, 13), drawn)
