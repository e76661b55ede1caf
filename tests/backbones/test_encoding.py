"""From features to frozen states, once."""

import os
import random
import signal
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lingraft.backbones.encoding
import lingraft.backbones.shards
from lingraft.backbones.encoding import encode, usual_cut
from lingraft.backbones.shards import read_digests, states_bytes, text_digest
from lingraft.backbones.state_cache import prune
from lingraft.backbones.walk import at_layer, encode_batch, frozen_pooled, length_batches, states_at
from lingraft.core.errors import CacheError
from lingraft.core.files import TEMPORARY, publish_file
from lingraft.core.records import IDS as UNREAD
from lingraft.core.records import Features, States
from lingraft.core.stored_states import info
from tiny import VOCABULARY

CPU = torch.device("cpu")
IDS = [[1, 5, 6, 7, 8, 2], [1, 9, 2], [1, 10, 11, 12, 2], [1, 9, 2], [1, 2], [1, *range(5, 25), 2]]
FEATURES = [Features(f"id{i}", tuple(ids)) for i, ids in enumerate(IDS)]


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    return tmp_path


def encoded(backbone, features=FEATURES, *, cut=1, dtype="float32", max_bytes=10**9, **options):
    """The features' states."""
    return encode(
        features, backbone, cut=cut, dtype=dtype, max_bytes=max_bytes, device=CPU, **options
    )  # fmt: skip


# ---- States ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_states_equal_those_of_each_text_alone(tiny_backbone, empty_cache, cut):
    """What batching and storing give is what one text at a time gives, at the cut and pooled at the top."""
    found = encoded(tiny_backbone, cut=cut)
    for i, ids in enumerate(IDS):
        with torch.no_grad():
            alone = at_layer(tiny_backbone.stack, States(torch.tensor([ids]), torch.ones(1, len(ids)), UNREAD), cut)
            pooled = frozen_pooled(tiny_backbone.stack, alone)
        got = found.table.batch([found.row[f"id{i}"]])
        torch.testing.assert_close(got.tokens, alone.tokens, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found.pooled([f"id{i}"]), pooled, rtol=1e-5, atol=1e-5)
        assert (got.layer, got.mask.tolist()) == (cut, [[1] * len(ids)])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("cut", [0, 2])
def test_prediction_on_new_texts_begins_with_the_cached_states(tiny_backbone, empty_cache, monkeypatch, cut, precision):
    """Bit by bit: what it starts from is what training read."""
    monkeypatch.setattr(tiny_backbone.stack, "precision", precision)
    found = encoded(tiny_backbone, texts(40), cut=cut)
    for rows in length_batches(found.lengths, 100):
        fresh = states_at([found.features[row].input_ids for row in rows], tiny_backbone.stack, cut, CPU)
        cached = found.table.batch(rows)
        real = cached.mask.bool()
        assert torch.equal(fresh.mask, cached.mask)
        assert torch.equal(fresh.tokens[real], cached.tokens[real])


def test_pooled_states_are_hugging_face_s(tiny_backbone, tiny_checkpoint, empty_cache):
    """The mean of the last hidden states under the attention mask."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(tiny_checkpoint).eval()
    found = encoded(tiny_backbone)
    for i, ids in enumerate(IDS):
        with torch.no_grad():
            expected = model(torch.tensor([ids])).last_hidden_state[0].mean(0)
        torch.testing.assert_close(found.pooled([f"id{i}"])[0], expected, rtol=1e-4, atol=1e-5)


def test_rows_are_found_by_id_in_any_order(tiny_backbone, empty_cache):
    """Ids may be asked for in any order, repeats allowed."""
    found = encoded(tiny_backbone)
    ids = ["id5", "id0", "id5"]
    assert torch.equal(found.pooled(ids), torch.cat([found.pooled([i]) for i in ids]))
    assert found.lengths == [len(ids) for ids in IDS]


def test_progress_counts_every_token_once(tiny_backbone, empty_cache):
    """What is reported adds up to the tokens of different texts, and to none where the cache answers."""
    seen = []
    encoded(tiny_backbone, advance=seen.append)
    assert sum(seen) == sum(map(len, {tuple(ids) for ids in IDS}))
    encoded(tiny_backbone, advance=seen.append)
    assert sum(seen) == sum(map(len, {tuple(ids) for ids in IDS}))


# ---- Token ids in the place of states --------------------------------------------------------------


def test_at_the_layer_of_ids_batches_are_ids_and_pools_the_usual_ones(tiny_backbone, empty_cache):
    """Nothing but the pooled states is read at the usual cut, whose states both share."""
    usual = encoded(tiny_backbone, cut=usual_cut(tiny_backbone.stack.num_layers))
    found = encoded(tiny_backbone, cut=UNREAD)
    assert info().shards == 1
    names = [f"id{i}" for i in (3, 0, 5)]
    assert torch.equal(found.pooled(names), usual.pooled(names))
    assert (found.width, found.lengths, found.row) == (usual.width, usual.lengths, usual.row)
    batch = found.table.batch([0, 1])
    assert batch.tokens.tolist() == [IDS[0], [*IDS[1], 0, 0, 0]]
    assert (batch.mask.tolist(), batch.layer) == ([[1] * 6, [1, 1, 1, 0, 0, 0]], UNREAD)
    assert batch.mask.dtype == batch.tokens.dtype == torch.long


@pytest.mark.parametrize("layer", [0, 1, 3])
def test_a_forward_pass_from_ids_is_one_from_the_start(tiny_backbone, empty_cache, layer):
    """To any layer, and to the pool after the last."""
    stack = tiny_backbone.stack
    unread, whole = encoded(tiny_backbone, cut=UNREAD), encoded(tiny_backbone, cut=0)
    rows = [4, 0, 2]
    with torch.no_grad():
        one, other = (at_layer(stack, found.table.batch(rows), layer) for found in (unread, whole))
        assert one.layer == other.layer == layer
        assert torch.equal(one.mask, other.mask)
        real = one.mask.bool()
        torch.testing.assert_close(one.tokens[real], other.tokens[real])
        pooled = frozen_pooled(stack, unread.table.batch(rows))
    torch.testing.assert_close(pooled, unread.pooled([f"id{row}" for row in rows]), rtol=1e-5, atol=1e-5)


# ---- The cache -------------------------------------------------------------------------------------


def texts(count, seed=0):
    """So many different texts of random tokens and lengths."""
    draw, found = random.Random(seed), {}
    while len(found) < count:
        ids = (1, *draw.choices(range(5, len(VOCABULARY)), k=draw.randint(3, 40)), 2)
        found[ids] = Features(f"{seed}/{len(found)}", ids)
    return list(found.values())


def count_encoded(backbone, features, **options):
    """Tokens that had to be computed."""
    seen = []
    encoded(backbone, features, advance=seen.append, **options)
    return sum(seen)


def tokens_of(features):
    """Tokens of all texts together."""
    return sum(len(feature.input_ids) for feature in features)


def assert_states_are_those_computed_afresh(found, backbone, *, cut=1):
    """Bit by bit, each text alone."""
    for row, feature in enumerate(found.features):
        states, pooled = encode_batch([feature.input_ids], backbone.stack, cut, CPU)
        assert torch.equal(found.table.batch([row]).tokens, states.tokens[:, : len(feature.input_ids)])
        assert torch.equal(found.table.pooled_rows([row]), pooled)


def test_a_hit_computes_nothing(tiny_backbone, empty_cache):
    """The second time, states come from the disk, to the last bit."""
    first = encoded(tiny_backbone)
    second = encoded(tiny_backbone, advance=lambda tokens: pytest.fail("computed"))
    rows = range(len(IDS))
    assert torch.equal(second.table.batch(rows).tokens, first.table.batch(rows).tokens)
    assert torch.equal(second.table.pooled_rows(rows), first.table.pooled_rows(rows))
    assert info().shards == 1


def test_a_recipe_that_shares_nine_tenths_of_its_texts_encodes_one_tenth(tiny_backbone, empty_cache):
    """Whatever the order in which, and the names under which, the texts come."""
    many = texts(220)
    assert count_encoded(tiny_backbone, many[:200]) == tokens_of(many[:200])
    other = [replace(feature, example_id=f"other{i}", target=1) for i, feature in enumerate(reversed(many[20:]))]
    assert count_encoded(tiny_backbone, other) == tokens_of(many[200:])
    assert_states_are_those_computed_afresh(encoded(tiny_backbone, other[:60]), tiny_backbone)


def test_growth_encodes_what_is_new(tiny_backbone, empty_cache):
    """Another draw of shots adds its texts, a smaller one adds none."""
    draws = [texts(8, seed) for seed in range(3)]
    assert count_encoded(tiny_backbone, draws[0] + draws[1]) == tokens_of(draws[0] + draws[1])
    assert count_encoded(tiny_backbone, draws[0] + draws[1] + draws[2]) == tokens_of(draws[2])
    assert count_encoded(tiny_backbone, draws[1][:3] + draws[2][5:]) == 0


def test_a_text_that_comes_twice_is_encoded_once(tiny_backbone, empty_cache):
    """And is found under both names."""
    assert IDS[1] == IDS[3]
    assert count_encoded(tiny_backbone, FEATURES) == sum(map(len, IDS)) - len(IDS[3])
    found = encoded(tiny_backbone)
    assert torch.equal(found.pooled(["id1"]), found.pooled(["id3"]))


@pytest.mark.parametrize("change", [{"cut": 2}, {"dtype": "float16"}])
def test_what_states_depend_on_is_another_space(tiny_backbone, empty_cache, change):
    """Cut and number format; nothing of the one answers for the other."""
    encoded(tiny_backbone)
    assert count_encoded(tiny_backbone, FEATURES, **change) > 0
    assert len({path.parent for path in empty_cache.glob("states/*/*.safetensors")}) == 2


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 29), min_size=1, max_size=30, unique=True), max_size=4),
    st.lists(st.integers(0, 29), min_size=1, max_size=12),
    st.integers(500, 20_000),
)
def test_any_layout_of_shards_gives_the_states_computed_afresh(tiny_backbone, before, wanted, size):
    """Whatever was encoded before, in which company and in how large shards, a text's states are the same bits."""
    many = texts(30)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("LINGRAFT_CACHE", folder)
        patch.setattr(lingraft.backbones.encoding, "SHARD_BYTES", size)
        new = set()
        for rows in (*before, wanted):
            missing = tokens_of(many[row] for row in set(rows) - new)
            assert count_encoded(tiny_backbone, [many[row] for row in rows]) == missing
            new |= set(rows)
        found = encoded(tiny_backbone, [many[row] for row in wanted])

        assert_states_are_those_computed_afresh(found, tiny_backbone)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_shards_that_are_rebuilt_are_bitwise_the_same(tiny_backbone, empty_cache, dtype):
    """Computed again after the cache was emptied, every file is the same, its name among it."""
    encoded(tiny_backbone, dtype=dtype)
    before = {path: path.read_bytes() for path in empty_cache.glob("states/*/*.safetensors")}
    assert prune()[0] == len(before) == 1
    encoded(tiny_backbone, dtype=dtype)
    assert {path: path.read_bytes() for path in empty_cache.glob("states/*/*.safetensors")} == before


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_of_a_damaged_shard_only_its_texts_are_encoded_again(tiny_backbone, which, where, bit):
    """Whatever bit of it changed, the others answer as before, and every state is right."""
    groups = [texts(6, seed) for seed in range(4)]
    every = [feature for group in groups for feature in group]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("LINGRAFT_CACHE", folder)
        shards = []
        for group in groups:
            encoded(tiny_backbone, group)
            shards += set(Path(folder).glob("states/*/*.safetensors")) - set(shards)
        content = bytearray(shards[which].read_bytes())
        content[int(where * len(content))] ^= 1 << bit
        shards[which].write_bytes(content)

        assert count_encoded(tiny_backbone, every) == tokens_of(groups[which])
        assert_states_are_those_computed_afresh(encoded(tiny_backbone, every), tiny_backbone)
        assert set(Path(folder).glob("states/*/*.safetensors")) == set(shards)


def test_a_long_encoding_is_stored_shard_by_shard(tiny_backbone, empty_cache, monkeypatch):
    """Each as large as the bound allows, none larger."""
    monkeypatch.setattr(lingraft.backbones.encoding, "SHARD_BYTES", 250_000)
    encoded(tiny_backbone, texts(400))
    sizes = [path.stat().st_size for path in empty_cache.glob("states/*/*.safetensors")]
    assert len(sizes) > 3
    assert max(sizes) <= 250_000


def test_half_precision_is_close(tiny_backbone, empty_cache):
    """Sixteen bits keep three digits of the states; pooled states keep all of theirs."""
    full, half = encoded(tiny_backbone), encoded(tiny_backbone, dtype="float16")
    rows = list(range(len(IDS)))
    a, b = full.table.batch(rows).tokens, half.table.batch(rows).tokens
    assert b.dtype == torch.float32
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    assert torch.equal(full.pooled(["id0"]), half.pooled(["id0"]))
    assert half.table.places[0][0].tokens.nbytes * 2 == full.table.places[0][0].tokens.nbytes


def test_what_cannot_be_kept_is_refused_before_computing(tiny_backbone, empty_cache):
    """A store that is too small is told of at once."""
    with pytest.raises(CacheError, match=r"the states take .* but the cache is bounded to 100 bytes"):
        encoded(tiny_backbone, max_bytes=100, advance=lambda tokens: pytest.fail("computed"))


def test_what_was_announced_fits(tiny_backbone, empty_cache, monkeypatch):
    """What is allowed at first is not refused at the last shard, however many there are."""
    monkeypatch.setattr(lingraft.backbones.encoding, "SHARD_BYTES", 10**9)
    many = texts(40)
    limit = states_bytes([len(feature.input_ids) for feature in many], width=24)
    encoded(tiny_backbone, many, max_bytes=limit)
    assert 0 < info().bytes <= limit


# ---- Several processes -----------------------------------------------------------------------------


def die():
    """Be killed, as by a scheduler or for memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill(backbone, features, started=None, counts=None, death=""):
    """Encode in a process of its own, in small shards; be killed after the first of them was stored."""
    torch.set_num_threads(1)
    lingraft.backbones.encoding.SHARD_BYTES = 30_000
    stored = partial(Path(os.environ["LINGRAFT_CACHE"]).glob, "states/*/[0-9a-f]*.safetensors")
    if death == "writing":
        lingraft.backbones.shards.publish_file = lambda temporary, path, **options: (
            die() if any(stored()) else publish_file(temporary, path, **options)
        )
    if started is not None:
        started.wait(timeout=60)
    seen = []

    def advance(tokens):
        seen.append(tokens)
        if death == "computing" and any(stored()):
            die()

    encoded(backbone, features, advance=advance)
    if counts is not None:
        counts.put(sum(seen))


def test_two_processes_fill_the_cache_together(tiny_backbone, empty_cache, fork):
    """At once, with texts in common: together they encode each text once, and what they stored is right."""
    many, counts, started = texts(90), fork.Queue(), fork.Barrier(2)
    processes = [
        fork.Process(target=fill, args=(tiny_backbone, part, started, counts)) for part in (many[:60], many[30:])
    ]
    for process in processes:
        process.start()
    encoded_tokens = [counts.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=60)

    assert sum(encoded_tokens) == tokens_of(many)
    assert count_encoded(tiny_backbone, many) == 0
    assert_states_are_those_computed_afresh(encoded(tiny_backbone, many[20:70]), tiny_backbone)


@pytest.mark.parametrize("death", ["computing", "writing"])
def test_a_killed_encoding_goes_on_where_it_stopped(tiny_backbone, empty_cache, fork, death):
    """Its finished shard is kept; what was half written is swept; the lock it held is free."""
    many = texts(90)
    process = fork.Process(target=fill, args=(tiny_backbone, many), kwargs={"death": death})
    process.start()
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL
    (kept,) = empty_cache.glob("states/*/[0-9a-f]*.safetensors")
    assert len(list(empty_cache.glob(f"states/*/{TEMPORARY}*"))) == (death == "writing")
    done = [feature for feature in many if text_digest(feature.input_ids) in read_digests(kept)]

    assert 0 < len(done) < 90
    assert count_encoded(tiny_backbone, many) == tokens_of(many) - tokens_of(done)
    assert list(empty_cache.glob(f"states/*/{TEMPORARY}*")) == []
    assert_states_are_those_computed_afresh(encoded(tiny_backbone, many), tiny_backbone)
