"""How much of the model's ability is kept is measured as its docstrings promise."""

import json
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from invented import SOURCE, TARGET, write_world
from lingraft.results.statistics import highest_share
from lingraft.runs.retention import compare_with_base, hits, linear_cka, retention, retrieval, similarity
from lingraft.serving.loading import load
from trained_run import PARTS, trained_run


def noise(count, width=6, seed=0):
    """Random states ``[N, H]``."""
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


# ---- Retrieval -------------------------------------------------------------------------------------


def test_hits_by_hand():
    """Three directions around their mean: the first two are swapped on the other side, the third is right."""
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])

    assert hits(queries, queries).tolist() == [1, 1, 1]
    assert hits(queries, queries[[1, 0, 2]]).tolist() == [0, 0, 1]


def test_languages_may_lie_apart():
    """A shift of a whole language, and the length of its states, change nothing."""
    queries = noise(20)
    candidates = queries + 0.5 * noise(20, seed=1)

    np.testing.assert_array_equal(hits(queries, candidates), hits(queries - 7, 30 * candidates + 100))


def test_equally_near_candidates_share_a_hit():
    """Repeated sentences count half, and states that have collapsed are found by chance only."""
    queries = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]])

    assert hits(queries, queries).tolist() == [0.5, 0.5, 1, 1]
    assert hits(queries, torch.ones(4, 2)).tolist() == [0.25] * 4


@settings(max_examples=25, deadline=None)
@given(count=st.integers(3, 12), spread=st.floats(0, 3), seed=st.integers(0, 99))
def test_hits_equal_a_loop(count, spread, seed):
    """The nearest by cosine, one query after the other."""
    queries = noise(count, seed=seed).double()
    candidates = queries + spread * noise(count, seed=seed + 1)
    expected = []
    for i, query in enumerate(queries - queries.mean(0)):
        cosines = [torch.cosine_similarity(query, other, dim=0).item() for other in candidates - candidates.mean(0)]
        expected.append(float(int(np.argmax(cosines)) == i))

    assert hits(queries, candidates).tolist() == expected


def test_retrieval_compares_by_sentence():
    """Where nothing changed among 40 sentences, little may among others; a change has its interval around it."""
    source, target = noise(40), noise(40) + 1.5 * noise(40, seed=1)

    same, better = retrieval((source, target), (source, target)), retrieval((source, target), (source, source))

    most = highest_share(40)
    assert same["difference"] == {"value": 0.0, "low": -most, "high": most}
    assert same["n"] == 40
    by_hand = (hits(source, target).mean() + hits(target, source).mean()) / 2
    assert better["before"]["value"] == pytest.approx(by_hand)
    assert better["after"] == {"value": 1.0, "low": pytest.approx(1 - most), "high": 1.0}
    assert better["difference"]["value"] == pytest.approx(1 - by_hand)
    assert 0 < better["difference"]["low"] < better["difference"]["value"] < better["difference"]["high"]


# ---- Similarity ------------------------------------------------------------------------------------


def test_cka_sees_neither_turns_nor_scale():
    """States that were turned, scaled and moved as a whole are as similar as can be."""
    states = noise(30).double().numpy()
    turn = np.linalg.qr(noise(6, seed=3).double().numpy())[0]

    assert linear_cka(states, 3 * states @ turn + 5) == pytest.approx(1)


def test_cka_of_unrelated_states_is_about_zero():
    """Also where there are many more dimensions than sentences, where the plain estimate is near 1."""
    found = [
        linear_cka(noise(30, 400, seed).double().numpy(), noise(30, 400, seed + 50).double().numpy())
        for seed in range(20)
    ]

    assert abs(np.mean(found)) < 0.05


def test_cka_equals_the_sum_over_four_sentences():
    """HSIC as the U-statistic that defines it: over all choices of four different sentences (Song et al., 2012)."""
    x, y = noise(6, 3).double().numpy(), noise(6, 5, seed=1).double().numpy()

    def hsic(k, m):
        chosen = permutations(range(6), 4)
        return np.mean([k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in chosen])

    k, m = x @ x.T, y @ y.T
    assert linear_cka(x, y) == pytest.approx(hsic(k, m) / (hsic(k, k) * hsic(m, m)) ** 0.5)


def test_cka_without_anything_to_compare():
    """Three sentences are too few; states that are all alike are similar to nothing."""
    states = noise(5).double().numpy()

    assert linear_cka(states[:3], states[:3]) is None
    assert linear_cka(states, np.ones((5, 2))) == 0.0


def test_similarity_starts_at_the_frozen_mean():
    """Far from the origin every cosine is 1; from the mean, turned states are opposite, and CKA does not mind."""
    states = noise(50) + 100
    mean = states.mean(0)

    same, turned = similarity(states, states), similarity(states, mean - (states - mean))

    assert (same["n"], same["cosine"], same["cka"]) == (50, pytest.approx(1), pytest.approx(1))
    assert (turned["cosine"], turned["cka"]) == (pytest.approx(-1), pytest.approx(1))


# ---- A run -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def trained(world, tiny_backbone, tmp_path_factory):
    """One training with prompts and adapters, on a task that is parallel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINGRAFT_CACHE", str(tmp_path_factory.mktemp("cache")))
        return trained_run(world, tiny_backbone, tmp_path_factory.mktemp("run"), *PARTS)


def test_a_run_is_compared_with_its_frozen_model(trained):
    """Numbers are those of the trial's files and of states that are computed here, one text at a time."""
    found = retention(*trained.given)

    fact = json.loads((trained.folder / "trials" / found["trial"] / "trial.json").read_text(encoding="utf-8"))
    assert found["source_score"] == {
        "metric": "accuracy", "n": 9, "before": fact["head_dev_score"], "after": fact["dev_score"],
        "low": fact["source_change"]["low"], "high": fact["source_change"]["high"],
    }  # fmt: skip
    model = load(
        trained.folder / "trials" / found["trial"] / "adaptation.safetensors", backbone=trained.backbone
    ).model.eval()
    before, after = {}, {}
    with torch.no_grad():
        for code in (SOURCE, TARGET):
            encoded, examples = trained.pools[code, "test"], trained.materials.test[code]
            before[code] = encoded.pooled([example.id for example in examples])
            alone = [encoded.table.batch([encoded.row[example.id]]) for example in examples]
            after[code] = torch.cat([model.run_layers(states, code).pooled() for states in alone])
    expected = retrieval((before[SOURCE], before[TARGET]), (after[SOURCE], after[TARGET]))
    assert found["retrieval"] == {TARGET: {"sentences": "test", **expected}}
    moved = similarity(before[TARGET], after[TARGET])
    assert found["similarity"][TARGET] == {
        "sentences": "test", "n": 12, "cosine": pytest.approx(moved["cosine"], abs=1e-4),
        "cka": pytest.approx(moved["cka"], abs=1e-3),
    }  # fmt: skip
    assert found["similarity"][SOURCE]["n"] == 9
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_switched_off_it_is_the_base_model(trained):
    """States are those of the cache up to rounding, although with adapters enabled they are not."""
    found = retention(*trained.given)

    assert found["adapters_disabled"]["max_difference"] < 1e-4 < found["adapters_disabled"]["tolerance"]
    assert found["adapters_disabled"]["texts"] == 9 + 12
    assert found["similarity"][TARGET]["cosine"] < 0.999


def test_a_part_that_stays_on_is_noticed(trained):
    """A cache of other states than the model's is a difference of just that size."""
    path = trained.folder / "trials" / retention(*trained.given)["trial"] / "adaptation.safetensors"
    model = load(path, backbone=trained.backbone).model
    encoded = trained.pools[SOURCE, "dev"]
    ids = [example.id for example in trained.materials.dev]
    places = list(encoded.table.places)
    table, row = places[encoded.row[ids[3]]]
    pooled = table.pooled.copy()
    pooled[row, 5] += 2.5
    places[encoded.row[ids[3]]] = replace(table, pooled=pooled), row

    other = replace(encoded, table=replace(encoded.table, places=places))

    assert compare_with_base(model, encoded, ids, SOURCE)[0] < 1e-4
    assert compare_with_base(model, other, ids, SOURCE)[0] == pytest.approx(2.5, abs=1e-3)


def test_without_parts_nothing_is_lost(world, tiny_backbone, tmp_path):
    """A head alone leaves every state where it was."""
    run = trained_run(world, tiny_backbone, tmp_path, "alignment=[]", prompt=None, adapter=None)

    found = retention(*run.given)

    for row in found["similarity"].values():
        assert (row["cosine"], row["cka"]) == (pytest.approx(1, abs=1e-5), pytest.approx(1, abs=1e-5))
    most = highest_share(found["retrieval"][TARGET]["n"])
    assert found["retrieval"][TARGET]["difference"] == {"value": 0.0, "low": -most, "high": most}


def test_pairs_of_the_training_are_called_that(world, tiny_backbone, tmp_path):
    """Where test sets are not parallel, the pairs that were trained on serve, all of them."""
    run = trained_run(world, tiny_backbone, tmp_path, "task.parallel=false", "alignment=[]", prompt=None, adapter=None)

    found = retention(*run.given)["retrieval"][TARGET]

    assert (found["sentences"], found["n"]) == ("learn", 24)


@pytest.mark.parametrize("strategy", ["top_layers", "full", "frozen_then_lora", "extract"])
def test_unfrozen_layers_come_off_again(world, tiny_backbone, tmp_path, strategy):
    """What was trained as a copy moves the states; with adapters disabled it is the base model to the last digit."""
    parts = [*PARTS, "adapter=null"] if strategy == "extract" else PARTS
    run = trained_run(world, tiny_backbone, tmp_path, f"freezing.name={strategy}", *parts, cut="auto")

    found = retention(*run.given)

    assert found["similarity"][TARGET]["cosine"] < 0.999
    assert found["adapters_disabled"]["max_difference"] < 1e-4
