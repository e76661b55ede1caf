"""Prompts in the decoder that writes an encoder-decoder's answers, written out head by head on transformers' own."""

import math
from contextlib import ExitStack, contextmanager
from functools import partial

import peft
import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput

from lingraft.backbones import backbones
from lingraft.backbones.loading import load_backbone
from lingraft.core.errors import ConfigError
from lingraft.model.adapters.peft_files import export_peft
from lingraft.model.network import GraftedModel
from lingraft.model.prompts import prompts
from small_training import shaken
from tiny import random_model
from writing_parts import (
    FAMILIES,
    MOST,
    SAID,
    TARGET,
    TEXTS,
    asked,
    grafted,
    likelihoods,
    loaded_by_transformers,
    made_checkpoint,
    saved_and_loaded,
    written,
)

PROMPTS = {"memory": {"name": "memory"}, "gated": {"name": "gated", "length": 3, "language_length": 2}}
LORA = {"name": "lora", "rank": 2}
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT's, not ours


@pytest.fixture(scope="module", params=FAMILIES)
def checkpoint(request, tmp_path_factory):
    """The folder of a random whole model."""
    return made_checkpoint(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture
def backbone(checkpoint):
    """The model as we read it."""
    return load_backbone(checkpoint, writing=True)


def remembered(query, layer, _, parts):
    """``sum_k phi(q_k) M[k] / d``, number by number."""
    width = len(query)
    features = [float(q) + 1 if q > 0 else math.exp(float(q)) for q in query]
    return sum(phi * row for part in parts for phi, row in zip(features, part.data / width, strict=True))


def attended(query, layer, head, parts):
    """``tanh(gate) * softmax(q K) V`` for each prefix."""
    attention, norm, width = layer.SelfAttention, layer.layer_norm, len(query)
    found = torch.zeros(width)
    for rows, gate in parts:
        own = slice(head * width, (head + 1) * width)
        keys, values = attention.k(norm(rows))[:, own], attention.v(norm(rows))[:, own]
        shares = torch.stack([(query * key).sum() for key in keys]).softmax(0)
        found += math.tanh(float(gate[head])) * sum(s * value for s, value in zip(shares, values, strict=True))
    return found


def parts_of(prompt, layer):
    """What a prompt has for a block of the decoder, of the task and of the language; gates beside their rows."""
    inside, layer = prompt.decoder, str(layer)
    own = [inside.task[layer], inside.language[TARGET][layer]]
    if not hasattr(inside, "gate"):
        return remembered, own
    return attended, list(zip(own, [inside.gate.task[layer], inside.gate.language[TARGET][layer]], strict=True))


@contextmanager
def written_out(blocks, prompt):
    """Let each block's self-attention of transformers' decoder add what its heads make of a prompt, one by one."""
    with ExitStack() as hooks:
        for number, block in enumerate(blocks):
            layer, (add, parts), queries = block.layer[0], parts_of(prompt, number), []
            heads = layer.SelfAttention.n_heads

            def keep(module, given, output, queries=queries):
                queries[:] = [output]

            def beside(module, given, layer=layer, add=add, parts=parts, queries=queries, heads=heads):
                context = given[0].clone()
                width = context.shape[-1] // heads
                for text, token, head in torch.cartesian_prod(*map(torch.arange, (*context.shape[:2], heads))).tolist():
                    own = slice(head * width, (head + 1) * width)
                    of_head = parts if add is attended else [part[head] for part in parts]
                    context[text, token, own] += add(queries[0][text, token, own], layer, head, of_head)
                return (context,)

            hooks.callback(layer.SelfAttention.q.register_forward_hook(keep).remove)
            hooks.callback(layer.SelfAttention.o.register_forward_pre_hook(beside).remove)
        yield


def logits_of(theirs, blocks, model, said):
    """Logits of transformers' decoder for each text, to our encoder's states: without batch, padding or cache."""
    stack, found = model.stack, []
    final = model.run_layers(asked_of(stack), TARGET)
    with written_out(blocks, model.adaptation.prompt):
        for row, (text, tokens) in enumerate(zip(TEXTS, said, strict=True)):
            states = BaseModelOutput(final.tokens[row : row + 1, : len(text)])
            found.append(theirs(encoder_outputs=states, decoder_input_ids=tokens[None], use_cache=False).logits[0])
    return found


def asked_of(stack):
    """The texts as ids."""
    return asked(type("Backbone", (), {"stack": stack}))


@pytest.mark.parametrize("name", PROMPTS)
def test_likelihoods_are_those_of_heads_written_out(checkpoint, backbone, name, tmp_path):
    """In eval mode, with a gradient, and in train mode; with LoRA in the same decoder, which is PEFT's there."""
    model = shaken(grafted(backbone, prompt=PROMPTS[name], adapter=LORA), size=0.1).eval()
    export_peft(model.adaptation.adapter, backbone.stack, tmp_path / "lora", checkpoint)
    theirs = peft.PeftModel.from_pretrained(loaded_by_transformers(checkpoint), str(tmp_path / "lora")).eval()
    with torch.no_grad():
        shifted = backbone.stack.shifted(SAID)
        logits = logits_of(theirs, theirs.base_model.model.decoder.block, model, shifted)
    expected = torch.stack(
        [
            sum(row.log_softmax(-1)[place, token] for place, token in enumerate(said) if token >= 0)
            for row, said in zip(logits, SAID, strict=True)
        ]
    )[:, None]

    for training in (False, True):
        for gradient in (False, True):
            found = likelihoods(model, backbone, training=training, gradient=gradient)
            torch.testing.assert_close(found.detach(), expected, rtol=1e-5, atol=1e-4)
    alone = shaken(grafted(backbone, prompt={**PROMPTS[name], "decoder": False}, adapter=LORA), size=0.1)
    assert (likelihoods(alone, backbone) - expected).abs().max() > 0.05
    assert not any(module._forward_hooks for module in backbone.stack.modules())


@pytest.mark.parametrize("name", PROMPTS)
def test_generation_with_kept_keys_and_values_is_generation_without(checkpoint, backbone, name):
    """Token for token, of heads written out, all read again for each."""
    model = shaken(grafted(backbone, prompt=PROMPTS[name]), size=0.3).eval()
    theirs, said = loaded_by_transformers(checkpoint), [[0] for _ in TEXTS]
    with torch.no_grad():
        for _ in range(MOST):
            logits = logits_of(theirs, theirs.decoder.block, model, [torch.tensor(one) for one in said])
            said = [[*one, int(row[-1].argmax())] for one, row in zip(said, logits, strict=True)]

    assert written(model) == [one[1:] for one in said]


@pytest.mark.parametrize("adapter", [None, LORA])
@pytest.mark.parametrize("name", PROMPTS)
def test_it_begins_as_the_frozen_model_bit_for_bit(backbone, name, adapter):
    """In eval mode and in train mode, with what it writes."""
    frozen, model = grafted(backbone), grafted(backbone, prompt=PROMPTS[name], adapter=adapter)
    for training in (False, True):
        found = likelihoods(model, backbone, training=training)
        assert torch.equal(found, likelihoods(frozen, backbone, training=training))
    assert written(model) == written(frozen)


@pytest.mark.parametrize("name", PROMPTS)
def test_every_part_gets_a_gradient(backbone, name):
    """That of the same numbers by the other way, with weights merged; and nothing frozen has one."""
    model, found = shaken(grafted(backbone, prompt=PROMPTS[name], adapter=LORA), size=0.1), []
    for training in (False, True):
        model.zero_grad()
        likelihoods(model, backbone, training=training, gradient=True).sum().backward()
        found.append({part: one.grad.clone() for part, one in model.adaptation.named_parameters()})
    for part, gradient in found[0].items():
        assert bool(gradient.any()), part
        largest = float(gradient.abs().max())
        torch.testing.assert_close(found[1][part], gradient, rtol=1e-3, atol=1e-4 * largest)
    inside = {part.split(".")[2] for part in found[0] if part.startswith("prompt.decoder.")}
    assert inside == {"task", "language"} | ({"gate"} if name == "gated" else set())
    assert all(parameter.grad is None for parameter in backbone.stack.parameters())


@pytest.mark.parametrize("name", PROMPTS)
def test_it_is_saved_and_comes_back_exactly(checkpoint, backbone, tmp_path, name):
    """Tensors, likelihoods and answers; a step later, what is predicted is that of the new numbers."""
    model = shaken(grafted(backbone, prompt=PROMPTS[name], adapter=LORA), size=0.1)
    loaded = saved_and_loaded(model, checkpoint, tmp_path, prompt=PROMPTS[name], adapter=LORA)
    again = GraftedModel(backbone.stack, loaded)
    before = likelihoods(again, backbone)
    assert torch.equal(before, likelihoods(model, backbone))
    assert written(again) == written(model)
    with torch.no_grad():
        for parameter in loaded.prompt.decoder.parameters():
            parameter.add_(0.3)
    assert not torch.allclose(likelihoods(again, backbone), before, atol=1e-3)


def test_another_language_has_the_shared_part_alone(backbone):
    """And does not hear what was said before in a language that has its own."""
    model = shaken(grafted(backbone, prompt=PROMPTS["memory"]), size=0.3).eval()
    states = asked(backbone)
    with torch.no_grad():
        own, other = (model(states, language)[1] for language in (TARGET, "quy-Latn"))
        for part in (model.adaptation.prompt, model.adaptation.prompt.decoder):
            for parameter in part.language.parameters():
                parameter.zero_()
        shared = model(states, TARGET)[1]
    assert torch.equal(other, shared)
    assert not torch.allclose(own, other, atol=1e-3)


@pytest.mark.parametrize("name", PROMPTS)
@pytest.mark.parametrize("family", ["bert", "llama", "gpt2"])
def test_models_without_a_decoder_apart_have_none(family, name):
    """Encoders and decoder LLMs: in one line, where it is asked for."""
    stack = backbones.build(family)(random_model(family))
    build = partial(prompts.build, name)
    rows = (stack, range(1, 3), [TARGET], lambda how, layer, count: torch.zeros(count, stack.width))
    assert not hasattr(build({})(*rows), "decoder")
    with pytest.raises(
        ConfigError, match=rf"prompt\.decoder: true is for .* and {family} has no decoder beside its"
    ) as no:
        build({"decoder": True})(*rows)
    assert len(no.value.problems) == 1


@pytest.mark.parametrize("name", ["deep", "input", "reparameterised"])
def test_prompts_of_virtual_tokens_are_in_the_encoder_alone(name):
    """They have no such option."""
    assert "unknown option" in prompts.check(name, {"decoder": True}, "prompt")[0]
