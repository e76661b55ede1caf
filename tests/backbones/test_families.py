"""Our forward pass through a model is the model's own."""

from functools import partial

import pytest
import torch

from lingraft.backbones import LayerStack, Prefix, backbones, visible
from lingraft.backbones.deberta import bucket
from lingraft.backbones.walk import frozen_pooled
from lingraft.core.errors import CheckpointError
from lingraft.core.records import IDS, Pooling, States
from stacks import build, parts, run_stack, texts

LENGTH = 40  # longer than any window, and DeBERTa's linear buckets

FAMILIES = backbones.names()
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
# Options that take another path through the same family's file.
VARIANTS = [
    *((family, {}) for family in FAMILIES),
    ("deberta-v2", {"share_att_key": False, "norm_rel_ebd": "none"}),
    ("deberta-v2", {"conv_kernel_size": 3, "conv_act": "gelu"}),
    ("deberta-v2", {"pos_att_type": ["c2p"], "share_att_key": False}),
    ("deberta-v2", {"position_buckets": -1, "max_relative_positions": 16}),
    ("deberta-v2", {"position_biased_input": True, "type_vocab_size": 2}),
    ("modernbert", {"num_hidden_layers": 5, "global_attn_every_n_layers": 2}),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
    ("llama", {"num_attention_heads": 4, "num_key_value_heads": 2, "attention_bias": True, "mlp_bias": True}),
    ("llama", {"num_key_value_heads": 2, "rope_parameters": LLAMA3}),
    ("mistral", {"sliding_window": None, "head_dim": 20}),
    ("qwen2", {"use_sliding_window": False}),
    (
        "qwen3",
        {"use_sliding_window": True, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    ),
    ("gemma3_text", {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 4, "layer_types": None}),
    ("bloom", {"num_attention_heads": 3, "apply_residual_connection_post_layernorm": True}),
    ("xglm", {"scale_embedding": False, "activation_function": "relu"}),
    ("t5", {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 128}),
    ("t5", {"num_heads": 3, "feed_forward_proj": "gated-silu"}),
]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("family", "options"), VARIANTS)
def test_the_forward_pass_equals_hugging_face(family, options, training):
    """Embedding, blocks and finish give Hugging Face's last hidden state, asked to train or not."""
    model, stack = build(family, **options)
    ids, mask = texts(LENGTH, 7, 23)
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask).last_hidden_state

    ours = run_stack(stack.train(training), stack.embed(ids), mask)

    real = mask.bool()
    torch.testing.assert_close(ours[real], expected[real], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("family", "options"), VARIANTS)
def test_layer_n_is_hugging_faces_hidden_state_n(family, options):
    """The states between blocks, which a cache stores, are Hugging Face's as well."""
    model, stack = build(family, **options)
    ids, mask = texts(LENGTH, 11)
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states

    hidden = stack.embed(ids)
    real = mask.bool()
    for i in range(stack.num_layers):
        torch.testing.assert_close(hidden[real], expected[i][real], atol=1e-5, rtol=0)
        hidden = stack.block(i, hidden, mask)


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_nothing(family):
    """A text alone and the same text beside a longer one get the same states."""
    _, stack = build(family)
    ids, mask = texts(30, 12)

    together = run_stack(stack, stack.embed(ids), mask)[1, :12]
    alone = run_stack(stack, stack.embed(ids[1:, :12]), mask[1:, :12])[0]

    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.float32])
@pytest.mark.parametrize("family", FAMILIES)
def test_masks_of_any_dtype_mean_the_same(family, dtype):
    """A mask of truth values, integers or floats is the same mask."""
    _, stack = build(family)
    ids, mask = texts(20, 9)
    hidden = stack.embed(ids)

    torch.testing.assert_close(run_stack(stack, hidden, mask.to(dtype)), run_stack(stack, hidden, mask), atol=0, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_stack_stays_frozen_inside_a_model_in_training(family):
    """Putting a whole model in train mode leaves the blocks without dropout and without gradients."""
    _, stack = build(family)
    whole = torch.nn.ModuleDict({"stack": stack}).train()

    assert whole.training
    assert not any(module.training for module in stack.modules())
    assert not any(parameter.requires_grad for parameter in stack.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_flows_through_blocks_to_their_input(family):
    """A prompt inserted below frozen blocks learns, and the backbone receives nothing."""
    _, stack = build(family)
    ids, mask = texts(20, 9)
    hidden = stack.embed(ids).detach().requires_grad_()

    run_stack(stack, hidden, mask, first=1)[mask.bool()].pow(2).sum().backward()

    assert hidden.grad.isfinite().all()
    assert (hidden.grad[mask.bool()].abs().sum(-1) > 0).all()
    assert all(parameter.grad is None for parameter in stack.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_training_follows_encoding_in_inference_mode(family):
    """What a stack keeps from encoding (tables, windows) can be used in training."""
    _, stack = build(family)
    ids, mask = texts(LENGTH, 9)
    with torch.inference_mode():
        encoded = run_stack(stack, stack.embed(ids), mask)
    hidden = stack.embed(ids).detach().requires_grad_()

    trained = run_stack(stack, hidden, mask)
    trained.sum().backward()

    torch.testing.assert_close(trained.detach()[mask.bool()], encoded[mask.bool()], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_prompt_is_seen_from_everywhere(family):
    """Changing a virtual token changes every position of the next layer, however far away."""
    _, stack = build(family)
    ids, mask = texts(LENGTH, 9)
    hidden = torch.cat([torch.randn(2, 2, stack.width), stack.embed(ids)], dim=1)
    mask = torch.cat([mask.new_ones(2, 2), mask], dim=1)
    changed = hidden.clone()
    changed[:, 0] = -changed[:, 0]

    for i in range(stack.num_layers):
        before, after = (stack.block(i, states, mask, prompt_length=2) for states in (hidden, changed))
        assert ((before - after).abs().amax(-1) > 1e-6)[mask.bool()].all()


@pytest.mark.parametrize("family", [family for family in FAMILIES if not backbones.build(family).facts.causal])
def test_prompt_sees_everything(family):
    """Changing the last token of a long text changes the virtual tokens in the next layer."""
    _, stack = build(family)
    hidden = torch.randn(1, 2 + LENGTH, stack.width, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(1, 2 + LENGTH)
    changed = hidden.clone()
    changed[:, -1] = -changed[:, -1]

    for i in range(stack.num_layers):
        before, after = (stack.block(i, states, mask, prompt_length=2) for states in (hidden, changed))
        assert ((before - after)[:, :2].abs().amax(-1) > 1e-6).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_prompted_block_equals_a_block_with_rows_before_the_text(family):
    """A family's shortcut for virtual tokens of one block gives what the long way gives, gradients too.

    Up to rounding, which depends on the largest of what is added up.
    """
    _, stack = build(family)
    ids, mask = texts(LENGTH, 9)
    real = mask.bool()
    for mask_or_full in (mask, torch.ones_like(mask)):
        for i in range(stack.num_layers):
            results = []
            for prompted in (stack.prompted_block, partial(LayerStack.prompted_block, stack)):
                hidden = stack.embed(ids).detach().requires_grad_()
                rows = torch.randn(3, stack.width, generator=torch.Generator().manual_seed(i)).requires_grad_()
                states = prompted(i, hidden, mask_or_full, rows)
                states[real].pow(2).sum().backward()
                results.append((states[real], hidden.grad, rows.grad))

            for ours, expected in zip(*results, strict=True):
                torch.testing.assert_close(ours, expected, atol=1e-5 * float(expected.detach().abs().max()), rtol=0)


# ---- Gated prefixes ---------------------------------------------------------------------------------


def slow_block(stack, i, hidden, mask, prefixes):
    """Hugging Face's block, with each prefix added head by head and text by text before the output projection."""
    project_query, project_key, project_value, output, scale = parts(stack, i)
    heads = stack.num_heads
    width = project_query(hidden).shape[-1] // heads

    def add(_, inputs):
        context = inputs[0].clone()
        for prefix in prefixes:
            keys, values = project_key(prefix.rows), project_value(prefix.rows)
            shared_by = heads * width // keys.shape[-1]
            for text in range(len(hidden)):
                for head in range(heads):
                    own, group = (slice(n * width, (n + 1) * width) for n in (head, head // shared_by))
                    scores = project_query(hidden[text])[:, own] @ keys[:, group].T * scale
                    weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
                    context[text, :, own] += torch.tanh(prefix.gate[head]) * (weights @ values[:, group])
        return (context,)

    handle = output.register_forward_pre_hook(add)
    try:
        return stack.block(i, hidden, mask)
    finally:
        handle.remove()


def random_prefixes(stack, *, gate=None, lengths=(3, 1)):
    """Prefixes of the given lengths whose gates are random, or all ``gate``."""
    generator = torch.Generator().manual_seed(5)
    return tuple(
        Prefix(
            rows=torch.randn(length, stack.width, generator=generator),
            gate=torch.randn(stack.num_heads, generator=generator)
            if gate is None
            else torch.full((stack.num_heads,), gate),
        )
        for length in lengths
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("family", "options"), VARIANTS)
def test_prefixes_are_a_softmax_of_their_own_head_by_head(family, options, training):
    """Each prefix adds tanh(gate) times its own attention, windows and positions notwithstanding."""
    _, stack = build(family, **options)
    stack.train(training)
    prefixes = random_prefixes(stack)
    ids, mask = texts(LENGTH, 9)
    hidden, real = stack.embed(ids), mask.bool()
    for i in range(stack.num_layers):
        ours = stack.block(i, hidden, mask, branches=prefixes)
        expected = slow_block(stack, i, hidden, mask, prefixes)

        torch.testing.assert_close(ours[real], expected[real], atol=1e-5, rtol=1e-5)
        assert (ours - stack.block(i, hidden, mask))[real].abs().amax() > 1e-3
        hidden = ours


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("family", "options"), VARIANTS)
def test_closed_gates_leave_the_forward_pass_as_it_is_to_the_bit(family, options, training):
    """With gates at zero, through all blocks, padded or not, prompt or not, nothing differs at all."""
    _, stack = build(family, **options)
    stack.train(training)
    prefixes = random_prefixes(stack, gate=0.0)
    ids, padded = texts(LENGTH, 9)
    for mask, prompt_length in ((padded, 0), (torch.ones_like(padded), 0), (padded, 2)):
        plain = gated = stack.embed(ids)
        for i in range(stack.num_layers):
            plain = stack.block(i, plain, mask, prompt_length)
            gated = stack.block(i, gated, mask, prompt_length, branches=prefixes)
            assert torch.equal(gated[mask.bool()], plain[mask.bool()])


@pytest.mark.parametrize("family", FAMILIES)
def test_closed_gates_learn_and_rows_wait(family):
    """At zero the gate has a gradient and the rows have none; once open, both have."""
    _, stack = build(family)
    ids, mask = texts(LENGTH, 9)
    hidden = stack.embed(ids).detach()
    for gate, rows_learn in ((0.0, False), (0.1, True)):
        (prefix,) = random_prefixes(stack, gate=gate, lengths=(3,))
        prefix.rows.requires_grad_()
        prefix.gate.requires_grad_()

        stack.block(1, hidden, mask, branches=(prefix,))[mask.bool()].pow(3).sum().backward()

        assert (prefix.gate.grad != 0).all()
        assert bool((prefix.rows.grad != 0).any()) == rows_learn
        assert prefix.rows.grad.isfinite().all()


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_nothing_beside_a_prefix(family):
    """A text alone and the same text beside a longer one get the same states, prefix or not."""
    _, stack = build(family)
    prefixes = random_prefixes(stack)
    ids, mask = texts(30, 12)
    for i in range(stack.num_layers):
        together = stack.block(i, stack.embed(ids), mask, branches=prefixes)[1, :12]
        alone = stack.block(i, stack.embed(ids[1:, :12]), mask[1:, :12], branches=prefixes)[0]

        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_number_of_heads_is_the_configuration_s():
    """Gates are one per head."""
    assert build("bert")[1].num_heads == 2
    assert build("modernbert", num_attention_heads=3)[1].num_heads == 3


# ---- Adapters inside the block ----------------------------------------------------------------------

BERTS = [family for family in FAMILIES if backbones.build(family).facts.adapter_inside]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("family", BERTS)
def test_feed_forward_that_does_the_usual_changes_nothing(family, training):
    """The norm of dense output plus residual is how a block ends anyway, with a prompt or a prefix too."""
    _, stack = build(family)
    stack.train(training)
    ids, mask = texts(LENGTH, 9)
    hidden, real = stack.embed(ids), mask.bool()
    rows, prefixes = torch.randn(3, stack.width), random_prefixes(stack)

    def usual(dense, residual, norm):
        return norm(dense + residual)

    for i in range(stack.num_layers):
        passes = [stack.block, partial(stack.block, branches=prefixes), partial(stack.prompted_block, rows=rows)]
        passes.append(partial(LayerStack.prompted_block, stack, rows=rows))
        for block in passes:
            plain, hooked = block(i, hidden, mask), block(i, hidden, mask, feed_forward=usual)
            assert torch.equal(hooked[real], plain[real])


@pytest.mark.parametrize("family", BERTS)
def test_feed_forward_gets_what_the_block_adds_and_what_it_adds_to(family):
    """It sees the dense layer's output, the states after attention and the block's norm; its result is the block's."""
    _, stack = build(family)
    layer = stack.layers[1]
    ids, mask = texts(12)
    hidden = stack.embed(ids)
    attended = layer.attention(hidden, visible(mask))[0]
    dense = layer.output.dense(layer.intermediate(attended))

    def spy(given, residual, norm):
        torch.testing.assert_close(given, dense, atol=1e-5, rtol=0)
        torch.testing.assert_close(residual, attended, atol=1e-5, rtol=0)
        assert norm is layer.output.LayerNorm
        return norm(2 * given + residual)

    states = stack.block(1, hidden, mask, feed_forward=spy)

    torch.testing.assert_close(states, layer.output.LayerNorm(2 * dense + attended), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(BERTS)))
def test_other_families_refuse_an_adapter_inside_the_block(family):
    """One line says which backbones have the place, and what to use instead."""
    _, stack = build(family)
    with pytest.raises(CheckpointError, match=r"family bert or roberta or xlm-roberta, and this .* bottleneck"):
        stack.block(0, torch.randn(1, 4, 24), torch.ones(1, 4), feed_forward=lambda dense, residual, norm: dense)


def test_deberta_may_have_its_distances_trained():
    """What is kept between blocks holds no embedding, so training them twice works and is seen."""
    _, stack = build("deberta-v2")
    ids, mask = texts(LENGTH)
    hidden = stack.embed(ids)
    before = stack.block(0, hidden, mask)
    stack.distances.weight.requires_grad_()
    for _ in range(2):
        run_stack(stack, hidden, mask).sum().backward()
    assert (stack.distances.weight.grad != 0).any()
    with torch.no_grad():
        stack.distances.weight.neg_()
    assert not torch.allclose(stack.block(0, hidden, mask), before)


# ---- What a family says of itself -------------------------------------------------------------------

KEYS = (
    "model_type", "num_attention_heads", "hidden_act", "hidden_activation", "layer_norm_eps", "norm_eps",
    "pad_token_id", "rope_parameters", "layer_types", "local_attention", "relative_attention", "position_buckets",
    "max_relative_positions", "pos_att_type", "share_att_key", "norm_rel_ebd", "position_biased_input",
    "rms_norm_eps", "query_pre_attn_scalar", "activation_function", "layer_norm_epsilon", "scale_embedding",
    "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "apply_residual_connection_post_layernorm",
    "feed_forward_proj", "relative_attention_num_buckets", "relative_attention_max_distance",
)  # fmt: skip
"""Of all families, whose values digests have always been made of."""


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_are_found_in_hugging_face_s_model(family):
    """By the path that PEFT's and AdapterHub's files name them by."""
    model, stack = build(family)

    assert model.get_submodule(stack.facts.blocks) is stack.layers


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_that_make_keys_and_values_make_nothing_else(family):
    """What comes out of the named layers, less the share for queries, is the block's keys and values."""
    _, stack = build(family)
    layer, made = stack.layers[1], []
    for name in stack.facts.keys_values:
        layer.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: made.append(out[..., ~stack.queries(name, out.shape[-1])])
        )
    for norm in [part for name, part in layer.named_modules() if name.endswith("k_norm")]:
        norm.forward = lambda states: states  # it comes after the layer that is named
    _, key, value, _, _ = parts(stack, 1)
    hidden = torch.randn(2, 6, stack.width, generator=torch.Generator().manual_seed(0))

    stack.block(1, hidden, torch.ones(2, 6))

    own = torch.cat(made[: len(stack.facts.keys_values)], dim=-1)  # DeBERTa projects its distances too
    expected = torch.cat([key(hidden), value(hidden)], dim=-1)
    torch.testing.assert_close(own.sort().values, expected.sort().values, atol=1e-6, rtol=1e-5)  # BLOOM's go by head


@pytest.mark.parametrize("family", FAMILIES)
def test_feed_forward_reads_the_inner_states(family):
    """The named layer leads from the inner width to the states', and the block's output depends on it."""
    model, stack = build(family)
    linear = stack.layers[1].get_submodule(stack.facts.feed_forward)
    hidden, mask = torch.randn(1, 6, stack.width), torch.ones(1, 6)
    before = stack.block(1, hidden, mask)

    linear.weight.zero_()

    assert (linear.in_features, linear.out_features) == (model.config.intermediate_size, stack.width)
    assert not torch.allclose(stack.block(1, hidden, mask), before)


@pytest.mark.parametrize(("family", "options"), VARIANTS)
def test_digests_are_made_of_the_same_keys_as_ever(family, options):
    """A key that a family left out would make two models look alike, or old runs look strange."""
    model, stack = build(family, **options)

    keys = [*KEYS, *(["sliding_window"] if stack.facts.causal else [])]  # ModernBERT's is made of local_attention
    assert stack.configuration == {key: getattr(model.config, key) for key in keys if hasattr(model.config, key)}
    assert stack.configuration.keys() > set(stack.facts.configuration)


@pytest.mark.parametrize("family", FAMILIES)
def test_causality_is_as_stated(family):
    """The last word of a short text changes the state of the first one, unless the family is causal."""
    _, stack = build(family)
    hidden = torch.randn(1, 4, stack.width, generator=torch.Generator().manual_seed(0))
    changed = hidden.clone()
    changed[:, -1] = -changed[:, -1]

    first, other = (stack.block(0, states, torch.ones(1, 4))[0, 0] for states in (hidden, changed))

    assert torch.allclose(first, other, atol=1e-6) == stack.facts.causal


@pytest.mark.parametrize("family", FAMILIES)
def test_pooling_is_as_stated(family):
    """The vector of a text is the mean of Hugging Face's last states over its real tokens, or all but the first."""
    model, stack = build(family)
    ids, mask = texts(9, 4)
    last = model(input_ids=ids, attention_mask=mask).last_hidden_state
    expected = {
        "mean": torch.stack([last[0].mean(0), last[1, :4].mean(0)]),
        "content": torch.stack([last[0, 1:].mean(0), last[1, 1:4].mean(0)]),
    }
    opening = {"mean": 0, "content": 1}[stack.facts.pooling]

    found = frozen_pooled(stack, States(tokens=ids, mask=mask, layer=IDS, pooling=Pooling(opening=opening)))

    torch.testing.assert_close(found, expected[stack.facts.pooling].detach(), atol=1e-5, rtol=0)


# ---- What is particular to a family -----------------------------------------------------------------


def test_modernbert_window_hides_what_is_far_and_no_prompt():
    """In a local block a token sees four neighbours on either side; without a prompt, nothing else."""
    _, stack = build("modernbert")
    local = stack.kinds.index("sliding_attention")
    hidden = torch.randn(1, LENGTH, stack.width)
    mask = torch.ones(1, LENGTH)
    changed = hidden.clone()
    changed[:, 0] = -changed[:, 0]

    difference = (stack.block(local, hidden, mask) - stack.block(local, changed, mask))[0].abs().amax(-1)

    assert (difference[:5] > 1e-6).all()
    assert (difference[5:] == 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_alternating_lengths_and_prompts_do_not_mix(family):
    """What is kept for one length or prompt is never used for another."""
    _, stack = build(family)
    for length, prompt_length in [(40, 0), (40, 3), (20, 3), (40, 3), (40, 0), (6, 0)]:
        hidden = torch.randn(2, length, stack.width)
        mask = torch.ones(2, length)
        _, fresh = build(family)
        expected = run_stack(fresh, hidden, mask, prompt_length=prompt_length)

        torch.testing.assert_close(run_stack(stack, hidden, mask, prompt_length=prompt_length), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_longest_text_fits(family):
    """A text of ``max_length`` tokens can be embedded."""
    _, stack = build(family)
    ids, mask = texts(stack.max_length)

    assert run_stack(stack, stack.embed(ids), mask).shape == (1, stack.max_length, stack.width)
    assert isinstance(stack, LayerStack)


def test_roberta_counts_positions_after_padding_index():
    """RoBERTa spends ``pad_token_id + 1`` positions on not being a position."""
    assert build("roberta")[1].max_length == 63
    assert build("bert")[1].max_length == 64


def test_no_mask_is_built_without_padding():
    """A full batch takes attention's fastest path."""
    assert visible(torch.ones(2, 5)) is None
    assert visible(torch.tensor([[1, 1, 0]])).tolist() == [[[[True, True, False]]]]


def test_buckets_are_exact_near_and_logarithmic_far():
    """With 8 buckets and 32 positions, distances up to 4 keep themselves and 31 falls into the last."""
    distances = torch.tensor([-31, -5, -4, 0, 3, 4, 5, 8, 31])

    assert bucket(distances, buckets=8, farthest=32).tolist() == [-7, -5, -4, 0, 3, 4, 5, 6, 7]
    assert bucket(distances, buckets=-1, farthest=32) is distances


def test_decoder_and_absolute_deberta_are_refused():
    """A variant that our forward pass would get wrong is refused with a reason."""
    with pytest.raises(CheckpointError, match="is_decoder"):
        build("bert", is_decoder=True)
    with pytest.raises(CheckpointError, match="relative_attention"):
        build("deberta-v2", relative_attention=False)
