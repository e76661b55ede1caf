"""From features to frozen states, once."""

import pytest
import torch

import lingraft.backbones.encoding
from lingraft.backbones.encoding import encode, usual_cut
from lingraft.backbones.state_cache import info, prune
from lingraft.backbones.walk import at_layer, frozen_pooled, states_at
from lingraft.core.errors import CacheError
from lingraft.core.records import IDS as UNREAD
from lingraft.core.records import Features

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
        features, backbone, cut=cut, max_length=32, dtype=dtype, max_bytes=max_bytes, device=CPU, **options
    )  # fmt: skip


# ---- States ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_states_equal_those_of_each_text_alone(tiny_backbone, empty_cache, cut):
    """What batching and storing give is what one text at a time gives, at the cut and pooled at the top."""
    found = encoded(tiny_backbone, cut=cut)
    for i, ids in enumerate(IDS):
        with torch.no_grad():
            alone = states_at([ids], tiny_backbone.stack, cut, CPU)
            pooled = frozen_pooled(tiny_backbone.stack, alone)
        got = found.table.batch([found.row[f"id{i}"]])
        torch.testing.assert_close(got.tokens, alone.tokens, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found.pooled([f"id{i}"]), pooled, rtol=1e-5, atol=1e-5)
        assert (got.layer, got.mask.tolist()) == (cut, [[1] * len(ids)])


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
    """What is reported adds up to the tokens there are, and to none where the cache answers."""
    seen = []
    encoded(tiny_backbone, advance=seen.append)
    assert sum(seen) == sum(map(len, IDS))
    encoded(tiny_backbone, advance=seen.append)
    assert sum(seen) == sum(map(len, IDS))


# ---- Token ids in the place of states --------------------------------------------------------------


def test_at_the_layer_of_ids_batches_are_ids_and_pools_the_usual_ones(tiny_backbone, empty_cache):
    """Nothing but the pooled states is read of the entry of the usual cut, which both share."""
    usual = encoded(tiny_backbone, cut=usual_cut(tiny_backbone.stack.num_layers))
    found = encoded(tiny_backbone, cut=UNREAD)
    assert info().entries == 1
    names = [f"id{i}" for i in (3, 0, 5)]
    assert torch.equal(found.pooled(names), usual.pooled(names))
    assert (found.width, found.lengths, found.row) == (usual.width, usual.lengths, usual.row)
    batch = found.table.batch([0, 1])
    assert batch.tokens.tolist() == [IDS[0], [*IDS[1], 0, 0, 0]]
    assert (batch.mask.tolist(), batch.layer) == ([[1] * 6, [1, 1, 1, 0, 0, 0]], UNREAD)
    assert batch.mask.dtype == batch.tokens.dtype == torch.long


@pytest.mark.parametrize("layer", [0, 1, 3])
def test_walking_from_ids_is_walking_from_the_start(tiny_backbone, empty_cache, layer):
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


def test_a_hit_computes_nothing(tiny_backbone, empty_cache, monkeypatch):
    """The second time, states come from the disk, to the last bit."""
    first = encoded(tiny_backbone)
    monkeypatch.setattr(lingraft.backbones.encoding, "_states", None)
    second = encoded(tiny_backbone)
    assert (second.table.tokens == first.table.tokens).all()
    assert info().entries == 1


@pytest.mark.parametrize("change", ["cut", "dtype", "order", "text", "max_length"])
def test_other_inputs_are_other_entries(tiny_backbone, empty_cache, change):
    """Cut, precision, length, words and their order all count."""
    encoded(tiny_backbone)
    options = {"cut": 2} if change == "cut" else {"dtype": "float16"} if change == "dtype" else {}
    features = {
        "order": FEATURES[::-1],
        "text": [Features("id0", (1, 5, 6, 7, 9, 2)), *FEATURES[1:]],
    }.get(change, FEATURES)
    if change == "max_length":
        encode(features, tiny_backbone, cut=1, max_length=33, dtype="float32", max_bytes=10**9, device=CPU)
    else:
        encoded(tiny_backbone, features, **options)
    assert info().entries == 2


def test_ids_do_not_count(tiny_backbone, empty_cache):
    """The same words under other ids are the same states."""
    encoded(tiny_backbone)
    encoded(tiny_backbone, [Features(f"other{i}", tuple(ids), target=1) for i, ids in enumerate(IDS)])
    assert info().entries == 1


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_rebuilt_entry_is_bitwise_the_same(tiny_backbone, empty_cache, dtype):
    """Computed again after the cache was emptied, every number is the same to the last bit."""
    first = encoded(tiny_backbone, dtype=dtype).table
    tokens, pooled = first.tokens.tobytes(), first.pooled.tobytes()
    del first
    assert prune()[0] == 1
    again = encoded(tiny_backbone, dtype=dtype).table
    assert (again.tokens.tobytes(), again.pooled.tobytes()) == (tokens, pooled)


def test_half_precision_is_close(tiny_backbone, empty_cache):
    """Sixteen bits keep three digits of the states; pooled states keep all of theirs."""
    full, half = encoded(tiny_backbone), encoded(tiny_backbone, dtype="float16")
    rows = list(range(len(IDS)))
    a, b = full.table.batch(rows).tokens, half.table.batch(rows).tokens
    assert b.dtype == torch.float32
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    assert torch.equal(full.pooled(["id0"]), half.pooled(["id0"]))
    assert half.table.tokens.nbytes * 2 == full.table.tokens.nbytes


def test_what_cannot_be_kept_is_refused_before_computing(tiny_backbone, empty_cache, monkeypatch):
    """A store that is too small is told of at once."""
    monkeypatch.setattr(lingraft.backbones.encoding, "_states", None)
    with pytest.raises(CacheError, match="does not fit into a cache bounded to"):
        encoded(tiny_backbone, max_bytes=100)
