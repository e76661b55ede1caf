"""Decoders: what comes later changes nothing, padding on either side, prompts as Hugging Face's cache has them."""

import pytest
import torch
from transformers import DynamicCache

from lingraft.backbones import backbones
from lingraft.backbones.bloom import slopes
from lingraft.backbones.causal import causal_mask
from lingraft.backbones.mapped import widen_all_but_words
from lingraft.backbones.walk import at_layer, states_at
from lingraft.core.errors import CheckpointError
from lingraft.core.records import IDS
from stacks import build, parts, run_stack, texts
from tiny import random_model

LENGTH = 40  # longer than any window
DECODERS = [family for family in backbones.names() if backbones.build(family).facts.causal]
ABSOLUTE = ("gpt2", "xglm")  # whose positions are in the embedding


def test_the_decoders_of_this_release():
    """None of them is tested by accident as something else."""
    assert DECODERS == ["bloom", "gemma3_text", "gpt2", "llama", "mistral", "qwen2", "qwen3", "xglm"]


@pytest.mark.parametrize("family", DECODERS)
def test_hugging_face_padded_on_the_left_has_our_states(family):
    """The same texts, padded on the other side there, have the same states on their real tokens."""
    model, stack = build(family)
    ids, mask = texts(LENGTH, 7, 23)
    turned = [torch.cat([row[keep == 0], row[keep == 1]]) for row, keep in zip(ids, mask, strict=True)]
    left = mask.flip(1)
    # ALiBi counts the real tokens itself.
    positions = {} if family == "bloom" else {"position_ids": (left.cumsum(1) - 1).clamp(min=0)}
    with torch.no_grad():
        theirs = model(input_ids=torch.stack(turned), attention_mask=left, **positions).last_hidden_state

    ours = run_stack(stack, stack.embed(ids), mask)

    torch.testing.assert_close(ours[mask.bool()], theirs[left.bool()], atol=1e-5, rtol=0)


@pytest.mark.parametrize("lengths", [(LENGTH,), (1,), (LENGTH, 3, 17)])
@pytest.mark.parametrize("family", DECODERS)
def test_states_cached_at_any_cut_lead_to_hugging_face_s_last(family, lengths):
    """One text or several, from the words up or from any layer on."""
    model, stack = build(family)
    ids, mask = texts(*lengths)
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask).last_hidden_state
    rows = [row[:length].tolist() for row, length in zip(ids, lengths, strict=True)]
    for cut in range(IDS, stack.num_layers + 1):
        states = at_layer(stack, states_at(rows, stack, cut, torch.device("cpu")), stack.num_layers)

        found = stack.finish(states.tokens)
        torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], atol=1e-5, rtol=0)


@pytest.mark.parametrize("prompt_length", [0, 3])
@pytest.mark.parametrize("family", DECODERS)
def test_what_comes_later_changes_nothing(family, prompt_length):
    """However a text goes on, and whatever follows a prompt, states before that are the same to the bit."""
    _, stack = build(family)
    hidden = torch.randn(1, LENGTH, stack.width, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(1, LENGTH)
    for first in (prompt_length or 1, 12, LENGTH - 1):
        changed = hidden.clone()
        changed[:, first:] = -changed[:, first:]

        before, after = (run_stack(stack, states, mask, prompt_length=prompt_length) for states in (hidden, changed))

        assert torch.equal(before[:, :first], after[:, :first])
        assert ((before - after)[:, first:].abs().amax(-1) > 1e-6).all()


# ---- Prompts, as Hugging Face's cache has them ------------------------------------------------------


def additive(seen):
    """A mask of truth values as Hugging Face adds it: ``[1, 1, T, S]``."""
    return torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)[None, None]


def masks_beside_a_prefix(stack, length, text):
    """For layers with and without a window, who sees whom: every row of the prefix, and of the text what may be."""
    rows, columns = torch.arange(text)[:, None], torch.arange(text)
    window = next((window for window in stack.windows if window), text)
    full = rows >= columns
    before = torch.ones(text, length, dtype=torch.bool)
    return {
        "full_attention": additive(torch.cat([before, full], dim=1)),
        "sliding_attention": additive(torch.cat([before, full & (rows - columns < window)], dim=1)),
    }


def in_their_cache(model, stack, rows):
    """Hugging Face's cache with the keys and values of each layer's rows ``[P, H]``, as positions 0 to P - 1."""
    cache = DynamicCache()  # without a configuration no layer of it has a window, so nothing is evicted
    for i in range(stack.num_layers):
        _, project_key, project_value, _, _ = parts(stack, i)
        width = getattr(stack.layers[i], "self_attn", None) or getattr(stack.layers[i], "attn", None)
        key, value = (
            project(rows[i]).unflatten(-1, (-1, width.head_dim)).transpose(0, 1)[None]
            for project in (project_key, project_value)
        )
        if hasattr(model, "rotary_emb"):
            kind = [model.config.layer_types[i]] if hasattr(stack, "kinds") else []
            cosines, sines = model.rotary_emb(rows[i], torch.arange(len(rows[i]))[None], *kind)
            first, second = key.chunk(2, dim=-1)
            key = key * cosines + torch.cat([-second, first], dim=-1) * sines
        cache.update(key.detach(), value.detach(), i)
    return cache


@pytest.mark.parametrize("family", [family for family in DECODERS if family != "bloom"])
def test_a_deep_prompt_is_hugging_face_s_cache_under_a_full_mask(family):
    """Rows of their own for each layer, through our attention, give what the same keys and values in a cache give."""
    model, stack = build(family)
    ids, _ = texts(LENGTH, LENGTH)
    length = 5
    generator = torch.Generator().manual_seed(3)
    rows = [torch.randn(length, stack.width, generator=generator) for _ in range(stack.num_layers)]
    masks = masks_beside_a_prefix(stack, length, LENGTH)
    kinds = {"full_attention", "sliding_attention"} if stack.windows[0] else {"full_attention"}
    by_kind = family in ("qwen2", "qwen3", "gemma3_text")
    first = 0 if family in ABSOLUTE else length
    caches = [in_their_cache(model, stack, rows) for _ in range(len(ids))]
    with torch.no_grad():
        theirs = torch.cat([
            model(
                input_ids=text[None],
                past_key_values=cache,
                attention_mask=masks if by_kind else masks[max(kinds)],
                position_ids=torch.arange(first, first + LENGTH)[None],
            ).last_hidden_state
            for text, cache in zip(ids, caches, strict=True)
        ])  # fmt: skip

    hidden = stack.embed(ids)
    for i, own in enumerate(rows):
        hidden = stack.prompted_block(i, hidden, torch.ones(2, LENGTH), own)

    torch.testing.assert_close(stack.finish(hidden), theirs, atol=1e-5, rtol=0)


def test_a_deep_prompt_in_bloom_is_its_cache_without_penalty():
    """The same through BLOOM's own blocks, given penalties that are zero for the rows of the cache."""
    model, stack = build("bloom")
    ids, _ = texts(LENGTH)
    length, heads = 5, stack.num_heads
    rows = [torch.randn(length, stack.width, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    cache = DynamicCache()
    for i in range(stack.num_layers):
        _, key, value, _, _ = parts(stack, i)
        cache.update(*(make(rows[i]).unflatten(-1, (heads, -1)).transpose(0, 1)[None] for make in (key, value)), i)
    distance = (torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)).float()
    penalty = torch.stack([-slope * distance for slope in (2**-4, 2**-8)])
    alibi = torch.cat([torch.zeros(heads, LENGTH, length), penalty], dim=2)
    mask = masks_beside_a_prefix(stack, length, LENGTH)["full_attention"]

    ours = theirs = stack.embed(ids)
    for i, block in enumerate(model.h):
        theirs = block(theirs, alibi=alibi, attention_mask=mask, layer_past=cache)[0]
        ours = stack.prompted_block(i, ours, torch.ones(1, LENGTH), rows[i])

    torch.testing.assert_close(stack.finish(ours), model.ln_f(theirs), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "xglm"])  # no window that hides, no penalty
def test_rows_carried_on_are_words_before_the_text(family):
    """Where nothing depends on distance but a rotation, a prompt that enters at the bottom is read like a text."""
    _, stack = build(family)
    ids, _ = texts(30)
    rows = torch.randn(1, 4, stack.width, generator=torch.Generator().manual_seed(3))
    hidden = torch.cat([rows, stack.embed(ids)], dim=1)
    mask = torch.ones(1, 34)

    ours = run_stack(stack, hidden, mask, prompt_length=4)

    torch.testing.assert_close(ours, run_stack(stack, hidden, mask), atol=1e-5, rtol=0)


# ---- Positions, windows and words -------------------------------------------------------------------


def test_a_window_holds_so_many_tokens():
    """Of nine, a token sees itself and eight before it, and the virtual tokens."""
    mask = causal_mask(torch.arange(20), torch.arange(20), prompt_length=2, window=9)

    assert mask[19].nonzero().flatten().tolist() == [0, 1, *range(11, 20)]
    assert mask[1].nonzero().flatten().tolist() == [0, 1]
    assert torch.equal(causal_mask(torch.arange(6), torch.arange(6), window=9), torch.ones(6, 6).tril().bool())


def test_the_windows_of_a_family_are_its_configuration_s():
    """For all layers, for some, or for none."""
    assert build("mistral")[1].windows == [9, 9, 9]
    assert build("mistral", sliding_window=None)[1].windows == [None] * 3
    assert build("llama")[1].windows == [None] * 3
    assert build("qwen2")[1].windows == [None, 9, 9]
    assert build("qwen2", use_sliding_window=False)[1].windows == [None] * 3
    assert build("gemma3_text")[1].windows == [9, None, 9]


def test_penalties_are_those_of_the_paper():
    """Eight heads halve from 1/2 to 1/256; twelve take four more between them."""
    eight = [2.0**-n for n in range(1, 9)]

    assert slopes(8, torch.device("cpu")).tolist() == eight
    assert slopes(12, torch.device("cpu")).tolist() == pytest.approx([*eight, *(2.0 ** -(n + 0.5) for n in range(4))])


@pytest.mark.parametrize("family", ["gemma3_text", "xglm"])
def test_words_in_16_bit_are_widened_before_they_are_scaled(family):
    """A model whose words stay in bfloat16 computes what it does in float32 with the same numbers."""
    wide, narrow = (build(family)[0] for _ in range(2))
    words = wide.get_input_embeddings()
    words.weight.data = words.weight.data.bfloat16().float()
    narrow.get_input_embeddings().weight.data = words.weight.data.bfloat16()
    widen_all_but_words(narrow, narrow.get_input_embeddings())
    ids, mask = texts(9)

    stack = backbones.build(family)(narrow)

    assert stack.embed(ids).dtype == torch.float32
    with torch.no_grad():
        expected = wide(input_ids=ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(run_stack(stack, stack.embed(ids), mask), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", DECODERS)
def test_a_model_that_looks_ahead_is_refused(family):
    """Transformers runs a decoder in both directions where its configuration says so; the one line says which key."""
    with pytest.raises(CheckpointError, match=rf"this {family} checkpoint is configured to look ahead \(is_causal"):
        build(family, is_causal=False)


def test_an_embedding_model_made_of_gemma_is_refused():
    """It looks ahead within its windows too."""
    with pytest.raises(CheckpointError, match="use_bidirectional_attention: true"):
        build("gemma3_text", use_bidirectional_attention=True)


def test_gpt2_s_projections_are_linear_layers_with_the_same_numbers():
    """Turned over once; Hugging Face's model computes with them as before."""
    stored = random_model("gpt2").h[1].mlp.c_fc.weight
    _, stack = build("gpt2")
    linear = stack.layers[1].mlp.c_fc

    assert isinstance(linear, torch.nn.Linear)
    assert (linear.in_features, linear.out_features) == (24, 32)
    assert torch.equal(linear.weight, stored.T)
