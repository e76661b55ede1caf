"""T5 and its relatives: a bias by distance that blocks share, padding on either side, prompts without distance."""

import pytest
import torch
from transformers import MT5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention

from lingraft.backbones import backbones
from lingraft.backbones.digests import weights_digest
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.t5 import bucket
from lingraft.backbones.walk import at_layer, states_at
from lingraft.core.errors import CheckpointError
from lingraft.core.records import IDS
from stacks import build, run_stack, texts
from tiny import random_model, save_checkpoint

LENGTH = 40  # further than the last bucket begins
FAMILIES = ["mt5", "t5", "umt5"]


@pytest.mark.parametrize(("buckets", "farthest"), [(32, 128), (8, 20), (6, 9), (4, 3)])
def test_distances_fall_into_the_buckets_of_the_original(buckets, farthest):
    """Near and far, before and after, up to four times as far as the last bucket begins."""
    distance = torch.arange(-4 * farthest, 4 * farthest + 1)

    expected = T5Attention._relative_position_bucket(distance, num_buckets=buckets, max_distance=farthest)

    assert torch.equal(bucket(distance, buckets=buckets, farthest=farthest), expected)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_hugging_face_padded_on_the_left_has_our_states(family, training):
    """The same texts, padded on the other side there or here, have the same states on their real tokens."""
    model, stack = build(family)
    stack.train(training)
    ids, mask = texts(LENGTH, 7, 23)
    turned = torch.stack([torch.cat([row[keep == 0], row[keep == 1]]) for row, keep in zip(ids, mask, strict=True)])
    left = mask.flip(1)
    with torch.no_grad():
        theirs = model(input_ids=turned, attention_mask=left).last_hidden_state[left.bool()]

    right = run_stack(stack, stack.embed(ids), mask)[mask.bool()]

    torch.testing.assert_close(right, theirs, atol=1e-5, rtol=0)
    torch.testing.assert_close(run_stack(stack, stack.embed(turned), left)[left.bool()], theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("lengths", [(LENGTH,), (1,), (LENGTH, 3, 17)])
@pytest.mark.parametrize("family", FAMILIES)
def test_states_cached_at_any_cut_lead_to_hugging_face_s_last(family, lengths):
    """Above the first block too, whose bias the others have in T5 and mT5; one text or several."""
    model, stack = build(family)
    ids, mask = texts(*lengths)
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask).last_hidden_state
    rows = [row[:length].tolist() for row, length in zip(ids, lengths, strict=True)]
    for cut in range(IDS, stack.num_layers + 1):
        states = at_layer(stack, states_at(rows, stack, cut, torch.device("cpu")), stack.num_layers)

        found = stack.finish(states.tokens)
        torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], atol=1e-5, rtol=0)


def test_the_bias_is_the_first_block_s_in_mt5_and_each_block_s_own_in_umt5():
    """In mT5 another table in the first block changes what the third one gives, in umT5 one in the third alone."""
    hidden, mask = torch.randn(1, 9, 24, generator=torch.Generator().manual_seed(0)), torch.ones(1, 9)
    for family, place in (("mt5", 0), ("umt5", 2)):
        _, stack = build(family)
        before = stack.block(2, hidden, mask)
        with torch.no_grad():
            stack.layers[place].layer[0].SelfAttention.relative_attention_bias.weight.mul_(-1)

        assert (stack.block(2, hidden, mask) - before).abs().max() > 1e-3
    with torch.no_grad():
        before = stack.block(2, hidden, mask)
        stack.layers[0].layer[0].SelfAttention.relative_attention_bias.weight.mul_(-1)
        assert torch.equal(stack.block(2, hidden, mask), before)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_deep_prompt_is_attention_over_rows_without_distance(family):
    """Written out, head by head and text by text: scores are not scaled, and those of virtual tokens have no bias."""
    _, stack = build(family)
    lengths = (LENGTH, 9)
    ids, mask = texts(*lengths)
    hidden = stack.embed(ids)
    for i in range(stack.num_layers):
        rows = torch.randn(3, stack.width, generator=torch.Generator().manual_seed(i))
        attention, norm = stack.layers[i].layer[0].SelfAttention, stack.layers[i].layer[0].layer_norm
        table = (attention if family == "umt5" else stack.layers[0].layer[0].SelfAttention).relative_attention_bias
        found = stack.prompted_block(i, hidden, mask, rows)
        for text, length in enumerate(lengths):
            states = hidden[text, :length]
            seen = norm(torch.cat([rows, states]))
            heads = []
            for head in range(stack.num_heads):
                own = slice(16 * head, 16 * (head + 1))
                scores = attention.q(norm(states))[:, own] @ attention.k(seen)[:, own].T
                for query in range(length):
                    for key in range(length):
                        where = T5Attention._relative_position_bucket(torch.tensor(key - query), True, 8, 20)
                        scores[query, 3 + key] += table.weight[where, head]
                weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
                heads.append(weights @ attention.v(seen)[:, own])
            expected = stack.layers[i].layer[1](states + attention.o(torch.cat(heads, dim=-1)))
            torch.testing.assert_close(found[text, :length], expected, atol=2e-5, rtol=1e-5)
        hidden = found


@pytest.mark.parametrize("family", ["mt5", "t5"])
def test_rows_carried_on_have_hugging_face_s_bias_widened_with_zeros(family):
    """Virtual tokens that enter at the bottom go through Hugging Face's own blocks in the same way."""
    _, stack = build(family)
    ids, _ = texts(30)
    rows = torch.randn(1, 4, stack.width, generator=torch.Generator().manual_seed(3))
    hidden = theirs = torch.cat([rows, stack.embed(ids)], dim=1)
    bias = torch.zeros(1, stack.num_heads, 34, 34)
    bias[:, :, 4:, 4:] = stack.layers[0].layer[0].SelfAttention.compute_bias(30, 30)

    for block in stack.layers:
        theirs, *_ = block(theirs, position_bias=bias)

    ours = run_stack(stack, hidden, torch.ones(1, 34), prompt_length=4)
    torch.testing.assert_close(ours, stack.norm(theirs), atol=1e-5, rtol=0)


def test_the_encoder_is_taken_out_of_a_whole_model(tmp_path):
    """A checkpoint that generates gives its encoder; nothing of the decoder is read or counted."""
    encoder = random_model("mt5")
    encoder.config.is_encoder_decoder = True
    whole = MT5ForConditionalGeneration(encoder.config)
    whole.load_state_dict(encoder.state_dict(), strict=False)
    save_checkpoint(tmp_path, whole)

    stack = load_backbone(str(tmp_path)).stack

    assert weights_digest(stack) == weights_digest(backbones.build("mt5")(encoder))
    assert not any("EncDec" in name or "decoder" in name for name, _ in stack.named_parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"is_decoder": True}, "configured as a decoder alone"),
        ({"relative_attention_num_buckets": 2}, "expected at least 4 buckets"),
        ({"relative_attention_max_distance": 2}, "a distance larger than a quarter"),
    ],
)
def test_a_configuration_that_cannot_be_run_is_refused(options, message):
    """In one sentence, before anything is computed."""
    model = random_model("t5")
    for key, value in options.items():
        setattr(model.config, key, value)
    with pytest.raises(CheckpointError, match=message):
        backbones.build("t5")(model)
