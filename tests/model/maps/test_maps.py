"""Maps from the states of a language to those of the source language."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from lingraft.model.kernel_ridge import fit_ridge
from lingraft.model.maps import Evidence, LanguageMap, head_space, maps, shift_of
from lingraft.model.ngram_features import fit_ngrams

WIDTH, CLASSES = 12, 3
WORDS = ["bana", "kuma", "wani", "kasa", "ruwa", "gida", "hanya", "sama"]


def evidence(count=40, noise=0.1, paired=True, seed=0):
    """Texts, states, and states of translations that are a linear function of the states, shifted."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, 4)) for _ in range(count)]
    states = rng.normal(size=(count, WIDTH)) + 3.0
    source = states @ rng.normal(size=(WIDTH, WIDTH)) / 3 - 2.0 + noise * rng.normal(size=(count, WIDTH))
    read = rng.normal(size=(CLASSES, WIDTH))
    states, source, read = (torch.tensor(values).float() for values in (states, source, read))
    return Evidence(texts, states, source, paired, read)


def read_by_head(mapped, given):
    """What a head sees of states."""
    return mapped @ given.read.T


@pytest.mark.parametrize("name", list(maps))
def test_every_map_moves_the_mean_onto_the_source_s(name):
    """Over the texts that it was fitted to; what a map may do besides has no mean."""
    given = evidence()
    fitted = maps.build(name)(given)
    mapped = fitted.map(given.texts, given.states)
    torch.testing.assert_close(mapped.mean(0), given.source.mean(0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", list(maps))
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_every_map_is_the_same_after_a_reload(name, mode):
    """Bit for bit, for texts that it has not seen."""
    given, new = evidence(), evidence(seed=1)
    language_map = getattr(maps.build(name)(given).map, mode)()
    found = getattr(LanguageMap.restore(language_map.state_dict()), mode)()
    assert torch.equal(found(new.texts, new.states), language_map(new.texts, new.states))


@pytest.mark.parametrize("name", list(maps))
def test_every_map_without_translations_gives_mean_and_spread_of_the_source(name):
    """Texts of the two languages that have nothing to do with each other tell no more; as scikit-learn scales."""
    given = evidence(paired=False)
    language_map = maps.build(name)(given).map
    away, back = (StandardScaler().fit(side.double().numpy()) for side in (given.states, given.source))
    expected = back.inverse_transform(away.transform(given.states.double().numpy()))
    found = language_map(given.texts, given.states)
    torch.testing.assert_close(found, torch.tensor(expected).float(), atol=1e-4, rtol=1e-4)
    restored = LanguageMap.restore(language_map.state_dict())
    assert torch.equal(restored(given.texts, given.states), found)


def test_a_dimension_that_does_not_vary_is_only_moved():
    """Where the language or the source has one value for all texts, there is no spread to divide by."""
    given = evidence(paired=False)
    given.states[:, 0], given.source[:, 1] = 5.0, 7.0
    mapped = maps.build("mean_shift")(given).map(given.texts, given.states)
    expected = (given.states - given.states.mean(0) + given.source.mean(0))[:, :2]
    torch.testing.assert_close(mapped[:, :2], expected)


@pytest.mark.parametrize("name", ["kernel", "ridge"])
def test_translations_that_say_nothing_leave_the_mean_shift(name):
    """The strength is such that what is added to new texts is small beside the states."""
    given, new = evidence(60, seed=2), evidence(30, seed=3)
    noise = given.states + torch.randn(60, WIDTH, generator=torch.Generator().manual_seed(0))
    language_map = maps.build(name)(Evidence(given.texts, given.states, noise, True, given.read)).map
    shifted = new.states - given.states.mean(0) + noise.mean(0)
    added = language_map(new.texts, new.states) - shifted
    assert added.pow(2).mean() < 0.1 * (noise - given.states).pow(2).mean()


def test_a_ridge_is_the_regression_of_the_definition():
    """In primal form, of what translations differ by on centred states; the head sees all of it."""
    given, new = evidence(), evidence(10, seed=1)
    fitted = maps.build("ridge")(given)
    states, source = given.states.double(), given.source.double()
    moved = states - states.mean(0)
    wanted = source - source.mean(0) - moved
    strength = fit_ridge((moved @ moved.T).numpy(), wanted.numpy(), centred=True).strength
    weight = torch.linalg.solve(moved.T @ moved + strength * torch.eye(WIDTH), moved.T @ wanted)
    fresh = new.states.double() - states.mean(0)
    expected = (fresh + fresh @ weight + source.mean(0)).float()
    found = fitted.map(new.texts, new.states)
    torch.testing.assert_close(read_by_head(found, given), read_by_head(expected, given), atol=1e-3, rtol=0)


def test_a_kernel_map_adds_the_n_grams_to_the_states():
    """In dual form, with the sum of both kernels, for texts that it has not seen."""
    given, new = evidence(), evidence(10, seed=1)
    fitted = maps.build("kernel")(given)
    features, rows = fit_ngrams(given.texts)
    grams, fresh_grams = rows.toarray(), features.project(new.texts, torch.eye(len(features.columns))).double().numpy()
    states, source = given.states.double().numpy(), given.source.double().numpy()
    moved, centred = states - states.mean(0), grams - grams.mean(0)
    share = 2.0 * np.trace(moved @ moved.T) / np.trace(centred @ centred.T)
    wanted = source - source.mean(0) - moved
    dual = fit_ridge(moved @ moved.T + share * centred @ centred.T, wanted, centred=True).dual
    fresh = new.states.double().numpy() - states.mean(0)
    products = fresh @ moved.T + share * (fresh_grams - grams.mean(0)) @ centred.T
    expected = torch.tensor(fresh + products @ dual + source.mean(0)).float()
    found = fitted.map(new.texts, new.states)
    torch.testing.assert_close(read_by_head(found, given), read_by_head(expected, given), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", ["kernel", "ridge"])
def test_what_was_left_out_is_nearer_to_nothing_than_what_was_seen(name):
    """A text's own translation is not among what its left-out state was fitted to."""
    given = evidence(noise=2.0)
    fitted = maps.build(name)(given)
    seen = read_by_head(fitted.map(given.texts, given.states) - given.source, given).pow(2).sum()
    unseen = read_by_head(fitted.left_out - given.source, given).pow(2).sum()
    assert unseen > 1.05 * seen


def test_n_grams_help_where_the_states_are_noise():
    """A language whose states say nothing is mapped by its n-grams."""
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(WORDS, 4)) for _ in range(120)]
    codes = torch.tensor(rng.normal(size=(len(WORDS), WIDTH))).float()
    source = torch.stack([codes[[WORDS.index(word) for word in text.split()]].mean(0) for text in texts])
    states = torch.tensor(rng.normal(size=(120, WIDTH))).float()
    read = torch.tensor(rng.normal(size=(CLASSES, WIDTH))).float()
    known, new = slice(0, 80), slice(80, None)
    missed = {}
    for name in ("ridge", "kernel"):
        language_map = maps.build(name)(Evidence(texts[known], states[known], source[known], True, read)).map
        apart = (language_map(texts[new], states[new]) - source[new]) @ read.T
        missed[name] = apart.pow(2).mean().item()
    assert missed["kernel"] < 0.8 * missed["ridge"]


def test_the_space_of_a_head_is_what_its_weights_span():
    """Orthonormal, without directions that no class reads."""
    read = torch.tensor([[1.0, 0, 0, 0], [0, 2.0, 0, 0], [1.0, 2.0, 0, 0]])
    basis = head_space(read)
    assert basis.shape == (4, 2)
    assert np.allclose(basis.T @ basis, np.eye(2))
    assert np.allclose(read.numpy() @ basis @ basis.T, read.numpy())


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        *itertools.product(["centre", "offset", "ngram_weight", "ngrams.idf"], ["missing", "shape"]),
        ("scale", "shape"),
    ],
)
def test_a_damaged_map_is_refused(part, damage):
    """Something is missing or of another size."""
    tensors = dict(maps.build("kernel")(evidence()).map.state_dict()) | {"scale": torch.ones(WIDTH)}
    found = tensors.pop(part)
    more = {part: torch.cat([found, found])} if damage == "shape" else {}
    with pytest.raises((KeyError, ValueError)):
        LanguageMap.restore(tensors | more)


def test_a_mean_shift_needs_nothing_but_means():
    """No direction is read, so nothing but two vectors is kept."""
    given = evidence()
    assert sum(tensor.numel() for tensor in shift_of(given).state_dict().values()) == 2 * WIDTH
