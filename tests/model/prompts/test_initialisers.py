"""Where the rows of a prompt start."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.backbones.loading import Backbone
from lingraft.backbones.walk import at_layer, pad_batch, states_at
from lingraft.core.errors import ConfigError
from lingraft.model.prompts.initialisers import prompt_initialiser
from tiny import VOCABULARY

CPU = torch.device("cpu")
IDS = [[1, 5, 6, 7, 2], [1, 9, 2], [1, 12, 13, 14, 15, 2]]
LABELS = ["ada beli cora", "dune"]
CUT = 1


def start(backbone, *, seed=0, labels=LABELS, cut=CUT):
    """Starts of the tiny backbone over three texts."""
    sample = states_at(IDS, backbone.stack, cut, CPU)
    return prompt_initialiser(backbone, sample, labels, torch.Generator().manual_seed(seed))


def states_of(backbone, words, layer, before=()):
    """States of the words at a layer, as one text between its markers, after the words of a prefix."""
    ids = [1, *(VOCABULARY[word] for word in (*before, *words)), 2]
    return states_at([ids], backbone.stack, layer, CPU).tokens[0, 1 + len(before) : -1]


def as_set(rows):
    """Rows as a set of tuples."""
    return {tuple(row) for row in rows.tolist()}


def test_states_are_those_of_real_tokens(tiny_backbone):
    """At every layer each row is some text's token at that layer, never padding."""
    initial, sample = start(tiny_backbone), states_at(IDS, tiny_backbone.stack, 1, CPU)
    for layer in (2, 1):
        there = at_layer(tiny_backbone.stack, sample, layer)
        rows = initial("states", layer, 50)
        assert rows.shape == (50, 24)
        assert as_set(rows) <= as_set(there.tokens[there.mask.bool()])
        assert len(as_set(rows)) > 5


def test_states_can_come_from_texts_that_are_ids(tiny_backbone):
    """A sample that is not even embedded gives the states of any layer."""
    sample = pad_batch(IDS, tiny_backbone.stack, CPU)
    initial = prompt_initialiser(tiny_backbone, sample, LABELS, torch.Generator().manual_seed(0))
    for layer in range(tiny_backbone.stack.num_layers):
        there = at_layer(tiny_backbone.stack, sample, layer)
        assert as_set(initial("states", layer, 20)) <= as_set(there.tokens[there.mask.bool()])


def test_states_below_the_sample_are_unknown(tiny_backbone):
    """A layer under the cut is a mistake of the caller."""
    with pytest.raises(ValueError, match=r"from 1, .* got 0"):
        start(tiny_backbone)("states", 0, 2)


def test_normal_is_small_noise(tiny_backbone):
    """Draws of standard deviation 0.02, at any layer."""
    rows = start(tiny_backbone)("normal", 0, 500)
    assert rows.shape == (500, 24)
    assert rows.std().item() == pytest.approx(0.02, rel=0.05)
    assert rows.mean().item() == pytest.approx(0.0, abs=0.001)


def test_vocabulary_is_pieces_read_as_one_text(tiny_backbone):
    """Before the first block each row is some piece's embedding at some place, and no marker's."""
    embeddings = tiny_backbone.stack.embeddings
    words, positions = embeddings.word_embeddings.weight[5:, None], embeddings.position_embeddings.weight[None]
    possible = embeddings.LayerNorm(words + positions + embeddings.token_type_embeddings.weight[0]).flatten(0, 1)

    rows = start(tiny_backbone)("vocabulary", 0, 50)

    distances = torch.cdist(rows, possible, compute_mode="donot_use_mm_for_euclid_dist")
    assert distances.amin(1).max() < 1e-5


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_vocabulary_offers_many_pieces_at_every_layer(tiny_backbone, layer):
    """All 32 words fit into one text, so nearly all are among many draws."""
    rows = start(tiny_backbone)("vocabulary", layer, 200)
    assert rows.shape == (200, 24)
    assert 25 < len(as_set(rows)) <= 32


def test_vocabulary_fits_into_one_text(tiny_backbone):
    """Where few tokens are allowed, fewer pieces are drawn."""
    short = replace(tiny_backbone, max_length=7)
    assert len(as_set(start(short)("vocabulary", 2, 100))) == 5


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_labels_take_turns_and_begin_again(tiny_backbone, layer):
    """The first word of each label, then the second words, and so on, from the first again when they run out."""
    rows = start(tiny_backbone)("labels", layer, 6)
    long, short = (states_of(tiny_backbone, label.split(), layer) for label in LABELS)
    expected = torch.stack([long[0], short[0], long[1], long[2], long[0], short[0]])
    torch.testing.assert_close(rows, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_text_is_its_words_in_order(tiny_backbone, layer):
    """As many rows as asked for: the first words of the text, or all of them and the first again."""
    initial = start(tiny_backbone)
    words = states_of(tiny_backbone, ["mira", "opa", "sava"], layer)
    torch.testing.assert_close(initial("text:mira opa sava", layer, 2), words[:2], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        initial("text:mira opa sava", layer, 4), words[torch.tensor([0, 1, 2, 0])], atol=1e-5, rtol=0
    )


def test_the_prefix_is_read_but_gives_no_row(tiny_backbone):
    """A checkpoint's usual words before every text are there for the others to attend to."""
    prefixed = replace(tiny_backbone, text_prefix="ula vero ")
    rows = start(prefixed)("text:mira opa", 2, 2)
    expected = states_of(tiny_backbone, ["mira", "opa"], 2, before=["ula", "vero"])
    torch.testing.assert_close(rows, expected, atol=1e-5, rtol=0)
    assert not torch.allclose(rows, start(tiny_backbone)("text:mira opa", 2, 2), atol=1e-3)


def test_a_text_longer_than_the_backbone_reads_is_cut(tiny_backbone):
    """A hundred words are as many as fit."""
    limit = tiny_backbone.max_length
    rows = start(tiny_backbone)("text:" + "mira " * 100, 1, 200)
    assert torch.equal(rows[: limit - 2], rows[limit - 2 : 2 * (limit - 2)])


@pytest.mark.parametrize("how", ["text:", "text:  ", "text:\t"])
def test_an_empty_text_is_refused(tiny_backbone, how):
    """There is nothing to start from."""
    with pytest.raises(ConfigError, match="no token to start from"):
        start(tiny_backbone)(how, 1, 2)


def test_missing_labels_are_refused(tiny_backbone):
    """A task without label names, or with an empty one, cannot lend them."""
    with pytest.raises(ConfigError, match="labels"):
        start(tiny_backbone, labels=[])("labels", 1, 2)
    with pytest.raises(ConfigError, match="a label is ''"):
        start(tiny_backbone, labels=["ada", ""])("labels", 1, 2)


def test_an_unknown_start_is_named(tiny_backbone):
    """A prompt from elsewhere that asks for something else learns what there is."""
    with pytest.raises(ValueError, match="got 'zeros'"):
        start(tiny_backbone)("zeros", 1, 2)


@pytest.mark.parametrize("how", ["states", "normal", "vocabulary"])
def test_draws_follow_the_generator(tiny_backbone, how):
    """The same seed draws the same rows, another seed others, a second call others."""
    first, again, other = (start(tiny_backbone, seed=seed) for seed in (1, 1, 2))
    rows = first(how, 2, 6)
    assert torch.equal(rows, again(how, 2, 6))
    assert not torch.equal(rows, other(how, 2, 6))
    assert not torch.equal(rows, first(how, 2, 6))
    assert not rows.requires_grad
    assert rows.dtype == torch.float32


@settings(max_examples=15, deadline=None)
@given(layers=st.permutations([0, 1, 2, 1]), hows=st.permutations(["labels", "text:ada opa"]))
def test_the_order_of_questions_does_not_change_the_answers(tiny_backbone, layers, hows):
    """States are kept, not mixed up: asked afresh, each layer and start gives the same."""
    initial = start(tiny_backbone)
    for layer in layers:
        for how in hows:
            assert torch.equal(initial(how, layer, 3), start(tiny_backbone)(how, layer, 3))


def test_each_block_runs_once_and_only_when_needed(tiny_backbone, monkeypatch):
    """Noise computes nothing; a layer asked for again computes nothing more."""
    calls = []
    block = type(tiny_backbone.stack).block

    def counted(self, i, *args, **options):
        calls.append(i)
        return block(self, i, *args, **options)

    initial = start(tiny_backbone)
    monkeypatch.setattr(type(tiny_backbone.stack), "block", counted)
    initial("normal", 2, 3)
    initial("states", 1, 3)
    assert calls == []
    for layer in (2, 1, 2):
        initial("states", layer, 3)
    assert calls == [1]
    for layer in (1, 2, 2, 0):
        initial("labels", layer, 3)
    assert calls == [1, 0, 1]


def test_rows_belong_to_the_caller(tiny_backbone):
    """Training a row changes nothing that is kept."""
    initial = start(tiny_backbone)
    rows = initial("labels", 1, 2)
    kept = rows.clone()
    rows.fill_(7.0)
    assert torch.equal(initial("labels", 1, 2), kept)


@pytest.mark.checkpoint
def test_labels_of_the_embedded_checkpoint_have_their_own_pieces(e5: Backbone):
    """The words of `query: ` and the markers give no row; one piece and two pieces are three rows."""
    sample = states_at([[0, 5, 2]], e5.stack, 0, CPU)
    initial = prompt_initialiser(e5, sample, ["sports", "science/technology"], torch.Generator().manual_seed(0))
    pieces = [e5.tokenizer.tokenize(label) for label in ("sports", "science/technology")]
    rows = initial("labels", 1, 40)
    assert len(as_set(rows)) == sum(len(words) for words in pieces)
    assert initial("vocabulary", 1, 16).shape == (16, 384)
