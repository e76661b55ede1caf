"""Random small stacks of every family, and where a block keeps what attention is made of."""

import torch

from lingraft.backbones import backbones
from tiny import VOCABULARY, random_model


def build(family, **options):
    """A random model of the family and our stack of its layers."""
    model = random_model(family, **options)
    return model, backbones.build(family)(model)


def texts(*lengths):
    """Random ids of the given lengths, padded on the right, and their mask."""
    generator = torch.Generator().manual_seed(1)
    mask = (torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(5, len(VOCABULARY), mask.shape, generator=generator)
    return ids.masked_fill(mask == 0, 0), mask


def run_stack(stack, hidden, mask, first=0, prompt_length=0):
    """All blocks from ``first``, then ``finish``."""
    for i in range(first, stack.num_layers):
        hidden = stack.block(i, hidden, mask, prompt_length)
    return stack.finish(hidden)


def parts(stack, i):
    """One block's frozen query, key and value projections, the module its heads go to, and the softmax's scale."""
    layer, width = stack.layers[i], stack.width // stack.num_heads
    if stack.facts.causal:
        return parts_of_decoder(layer, stack.num_heads)
    if hasattr(layer, "attn"):  # ModernBERT

        def third(n):
            return lambda states: layer.attn.Wqkv(layer.attn_norm(states)).chunk(3, dim=-1)[n]

        return third(0), third(1), third(2), layer.attn.Wo, width**-0.5
    if hasattr(layer, "layer"):  # T5
        attention, norm = layer.layer[0].SelfAttention, layer.layer[0].layer_norm

        def normed(projection):
            return lambda states: projection(norm(states))

        return normed(attention.q), normed(attention.k), normed(attention.v), attention.o, 1.0
    attention = layer.attention.self
    if hasattr(attention, "query_proj"):  # DeBERTa
        scale = (width * (1 + len(attention.pos_att_type))) ** -0.5
        return attention.query_proj, attention.key_proj, attention.value_proj, layer.attention.output.dense, scale
    return attention.query, attention.key, attention.value, layer.attention.output.dense, width**-0.5


def parts_of_decoder(layer, heads):
    """As ``parts``; keys and values may have fewer heads, and queries and keys norms."""
    if hasattr(layer, "attn"):  # GPT-2

        def third(n):
            return lambda states: layer.attn.c_attn(layer.ln_1(states)).chunk(3, dim=-1)[n]

        return third(0), third(1), third(2), layer.attn.c_proj, layer.attn.scaling
    if hasattr(layer, "self_attention"):  # BLOOM
        attention = layer.self_attention

        def one_of_three(n):
            def project(states):
                fused = attention.query_key_value(layer.input_layernorm(states))
                return fused.unflatten(-1, (heads, 3, -1))[..., n, :].flatten(-2)

            return project

        return one_of_three(0), one_of_three(1), one_of_three(2), attention.dense, attention.inv_norm_factor
    attention = layer.self_attn
    before = layer.self_attn_layer_norm if hasattr(layer, "fc1") else layer.input_layernorm  # XGLM, or a Llama

    def normed(name):
        linear, norm = getattr(attention, f"{name}_proj"), getattr(attention, f"{name}_norm", torch.nn.Identity())
        return lambda states: norm(linear(before(states)).unflatten(-1, (-1, attention.head_dim))).flatten(-2)

    output = attention.out_proj if hasattr(layer, "fc1") else attention.o_proj
    return normed("q"), normed("k"), normed("v"), output, attention.scaling


DECODERS = [family for family in backbones.names() if backbones.build(family).facts.causal]


def speaking(family, **options):
    """A random model of a decoder with its language-model head, and our stack of its layers, which speaks too.

    The head is not tied to the words unless asked for: a random model with one repeats the last word for ever.
    """
    options = {"tie_word_embeddings": False} | options
    model = random_model(family, speaking=True, **options)
    stack = backbones.build(family)(model.base_model)
    if not stack.tied:
        stack.unembedding = model.lm_head.weight.detach()
    return model, stack
