"""The layer loop, against Hugging Face and against loops written by hand."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lingraft.backbones.encoding import encode
from lingraft.backbones.walk import states_at, step
from lingraft.core.records import Features
from lingraft.model.adaptation import Adaptation, build_adaptation
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.recipe.blocks import Block
from small_training import shaken

CPU = torch.device("cpu")
IDS = [[1, 5, 6, 7, 8, 2], [1, 9, 2], [1, 10, 11, 12, 2]]
LANGUAGES = ["yor-Latn", "quy-Latn"]
BOTH_MODES = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


@pytest.fixture(scope="module")
def original(tiny_checkpoint):
    """The same checkpoint as Hugging Face loads it."""
    from transformers import AutoModel

    return AutoModel.from_pretrained(tiny_checkpoint).eval()


def padded(ids=IDS):
    """Token ids and mask, padded on the right."""
    longest = max(map(len, ids))
    tokens = torch.tensor([text + [0] * (longest - len(text)) for text in ids])
    return tokens, torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in ids])


def grafted(stack, *, cut=1, prompt=None, adapter=None, classes=3, seed=0, unfrozen=()):
    """A model with the given blocks, its parameters moved away from where they begin."""
    torch.manual_seed(seed)
    adaptation = build_adaptation(
        prompt=Block.model_validate(prompt) if prompt else None,
        adapter=Block.model_validate(adapter) if adapter else None,
        stack=stack,
        cut=cut,
        languages=LANGUAGES,
        head=LinearClassifier(stack.width, classes),
        initial=lambda how, layer, count: torch.randn(count, stack.width),
        unfrozen=unfrozen,
    )
    return GraftedModel(stack, adaptation)


def layer_by_hand(original, i, hidden, mask):
    """One Hugging Face layer with an additive mask, as its own encoder would call it."""
    additive = (1.0 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
    out = original.encoder.layer[i](hidden, additive)
    return out[0] if isinstance(out, tuple) else out


def assert_same_words(one, other, mask):
    """Equal wherever there is a word; padding may hold anything."""
    real = mask.bool()
    torch.testing.assert_close(one[real], other[real], rtol=1e-4, atol=1e-5)


# ---- Switched off, it is the backbone --------------------------------------------------------------


@BOTH_MODES
@pytest.mark.parametrize("cut", [0, 1, 2])
@pytest.mark.parametrize("adapter", [None, {"name": "bottleneck"}])
def test_a_new_adaptation_is_the_untouched_backbone(tiny_backbone, original, cut, adapter, training):
    """Without a prompt and with adapters as they begin, states are Hugging Face's, from any cut, in both modes."""
    model = grafted(tiny_backbone.stack, cut=cut, adapter=adapter).train(training)
    tokens, mask = padded()
    with torch.no_grad():
        expected = original(tokens, attention_mask=mask).last_hidden_state
        final, logits = model(states_at(IDS, tiny_backbone.stack, cut, CPU), "yor-Latn")
    assert_same_words(final.tokens, expected, mask)
    pooled = torch.stack([row[:n].mean(0) for row, n in zip(expected, mask.sum(1).tolist(), strict=True)])
    torch.testing.assert_close(logits, model.adaptation.head(pooled), rtol=1e-4, atol=1e-5)
    assert (final.layer, final.prompt_length) == (tiny_backbone.stack.num_layers, 0)


def test_adapters_can_be_disabled(tiny_backbone, original):
    """However it was trained, with adapters disabled the untouched backbone computes."""
    model = grafted(tiny_backbone.stack, prompt={"name": "deep"}, adapter={"name": "bottleneck"})
    with torch.no_grad():
        for parameter in model.adaptation.parameters():
            parameter.add_(torch.randn_like(parameter))
        tokens, mask = padded()
        final = model.run_layers(states_at(IDS, tiny_backbone.stack, 1, CPU), "yor-Latn", adapters_enabled=False)
        assert_same_words(final.tokens, original(tokens, attention_mask=mask).last_hidden_state, mask)


# ---- Prompts and adapters, by hand -----------------------------------------------------------------


@BOTH_MODES
def test_deep_prompts_equal_a_loop_by_hand(tiny_backbone, original, training):
    """Before each layer rows are put in front of every text; after it they are taken away."""
    model = grafted(tiny_backbone.stack, prompt={"name": "deep", "length": 3, "language_length": 2}).train(training)
    prompt = model.adaptation.prompt
    tokens, mask = padded()
    with torch.no_grad():
        hidden = layer_by_hand(original, 0, original.embeddings(tokens), mask)
        longer = torch.cat([torch.ones(3, 5, dtype=torch.long), mask], dim=1)
        for layer in (1, 2):
            rows = torch.cat([prompt.task[str(layer)], prompt.language["yor-Latn"][str(layer)]])
            hidden = torch.cat([rows.expand(3, 5, -1), hidden], dim=1)
            hidden = layer_by_hand(original, layer, hidden, longer)[:, 5:]
        final, _ = model(states_at(IDS, tiny_backbone.stack, 1, CPU), "yor-Latn")
    assert final.tokens.shape == (3, 6, 24)
    assert_same_words(final.tokens, hidden, mask)


@BOTH_MODES
def test_an_input_prompt_equals_a_loop_by_hand(tiny_backbone, original, training):
    """Rows enter before the first layer, are carried through all of them, and leave before the pool."""
    model = grafted(tiny_backbone.stack, cut=0, prompt={"name": "input", "length": 3}).train(training)
    tokens, mask = padded()
    with torch.no_grad():
        hidden = torch.cat([model.adaptation.prompt.task["0"].expand(3, 3, -1), original.embeddings(tokens)], dim=1)
        longer = torch.cat([torch.ones(3, 3, dtype=torch.long), mask], dim=1)
        for layer in range(3):
            hidden = layer_by_hand(original, layer, hidden, longer)
        final, _ = model(states_at(IDS, tiny_backbone.stack, 0, CPU), "yor-Latn")
    assert (final.tokens.shape, final.mask.tolist()) == ((3, 6, 24), mask.tolist())
    assert_same_words(final.tokens, hidden[:, 3:], mask)


def test_adapters_come_after_each_layer(tiny_backbone, original):
    """The states after a layer, corrected, are what the next layer reads."""
    model = grafted(tiny_backbone.stack, adapter={"name": "bottleneck", "width": 4}).eval()
    adapter = model.adaptation.adapter
    tokens, mask = padded()
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(torch.randn_like(parameter))
        hidden = layer_by_hand(original, 0, original.embeddings(tokens), mask)
        for layer in (1, 2):
            hidden = adapter(layer, "quy-Latn", layer_by_hand(original, layer, hidden, mask))
        final, _ = model(states_at(IDS, tiny_backbone.stack, 1, CPU), "quy-Latn")
    assert_same_words(final.tokens, hidden, mask)


@pytest.mark.parametrize("prompt", [{"name": "deep"}, {"name": "input"}], ids=lambda block: block["name"])
def test_texts_of_a_batch_do_not_mix(tiny_backbone, prompt):
    """A text's logits are the same alone and beside longer ones."""
    model = grafted(tiny_backbone.stack, cut=0, prompt=prompt, adapter={"name": "bottleneck"}).eval()
    with torch.no_grad():
        together = model(states_at(IDS, tiny_backbone.stack, 0, CPU), "yor-Latn")[1]
        alone = torch.cat([model(states_at([ids], tiny_backbone.stack, 0, CPU), "yor-Latn")[1] for ids in IDS])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_language_decides_which_part_is_used(tiny_backbone):
    """Two languages and one that was never trained for give three different answers to the same text."""
    model = grafted(tiny_backbone.stack, prompt={"name": "deep"}, adapter={"name": "bottleneck"}).eval()
    states = states_at(IDS, tiny_backbone.stack, 1, CPU)
    with torch.no_grad():
        a, b, c, d = (model(states, language)[1] for language in (*LANGUAGES, "eng-Latn", "swh-Latn"))
    assert not torch.allclose(a, b)
    assert not torch.allclose(a, c)
    assert torch.equal(c, d)


# ---- States on the way, and from the very beginning ------------------------------------------------


@pytest.mark.parametrize("prompt", [None, *({"name": name} for name in ("deep", "gated", "memory", "input"))])
@pytest.mark.parametrize("adapter", [None, {"name": "bottleneck"}, {"name": "lora"}])
def test_a_forward_pass_from_ids_is_one_from_the_start(tiny_backbone, prompt, adapter):
    """Token ids and states at layer 0 give the same logits, whatever is grafted on."""
    stack = tiny_backbone.stack
    for cut in (-1, 0):
        model = shaken(grafted(stack, cut=cut, prompt=prompt, adapter=adapter), size=0.3).eval()
        with torch.no_grad():
            one, other = (model(states_at(IDS, stack, layer, CPU), "yor-Latn")[1] for layer in (-1, 0))
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("prompt", [None, {"name": "deep"}, {"name": "input"}])
@pytest.mark.parametrize("cut", [-1, 0])
def test_states_on_the_way_are_given(tiny_backbone, prompt, cut):
    """After every layer, adapted, without virtual tokens; going on from there ends where the whole forward pass did."""
    stack = tiny_backbone.stack
    model = shaken(grafted(stack, cut=cut, prompt=prompt, adapter={"name": "bottleneck"}), size=0.3).eval()
    visited = {}
    with torch.no_grad():
        final, logits = model(states_at(IDS, stack, cut, CPU), "yor-Latn", visited)
        plain, again = model(states_at(IDS, stack, cut, CPU), "yor-Latn")
        assert sorted(visited) == [1, 2, 3]
        assert {(layer, s.layer, s.prompt_length, *s.tokens.shape) for layer, s in visited.items()} == {
            (layer, layer, 0, 3, 6, 24) for layer in (1, 2, 3)
        }
        assert torch.equal(visited[3].tokens, final.tokens)
        assert torch.equal(logits, again)
        assert torch.equal(plain.tokens, final.tokens)
        if prompt is None or prompt["name"] == "deep":
            torch.testing.assert_close(model(visited[2], "yor-Latn")[1], logits)


def test_frozen_states_on_the_way_are_the_backbone_s(tiny_backbone, original):
    """Without the parts, Hugging Face's own hidden states of every layer."""
    model = shaken(grafted(tiny_backbone.stack, cut=0, prompt={"name": "deep"}))
    tokens, mask = padded()
    visited = {}
    with torch.no_grad():
        model.run_layers(
            states_at(IDS, tiny_backbone.stack, -1, CPU), "yor-Latn", adapters_enabled=False, visited=visited
        )
        expected = original(tokens, attention_mask=mask, output_hidden_states=True).hidden_states
    for layer, states in visited.items():
        assert_same_words(states.tokens, expected[layer], mask)


def test_a_copy_takes_the_place_of_the_original_in_a_forward_pass_only(tiny_backbone):
    """Unfrozen parameters that moved change the logits; the stack holds its own, used where adapters are disabled."""
    stack, name = tiny_backbone.stack, "layers.2.output.dense.weight"
    before = stack.get_parameter(name).detach().clone()
    model = grafted(stack, unfrozen=[name]).eval()
    states = states_at(IDS, stack, 1, CPU)
    with torch.no_grad():
        same = model(states, "yor-Latn")[1]
        frozen = model.run_layers(states, "yor-Latn", adapters_enabled=False).tokens
        torch.testing.assert_close(model.run_layers(states, "yor-Latn").tokens, frozen)
        model.adaptation.unfrozen[name.replace(".", "/")].mul_(2.0)
        assert not torch.allclose(model(states, "yor-Latn")[1], same)
        assert torch.equal(model.run_layers(states, "yor-Latn", adapters_enabled=False).tokens, frozen)
    model(states, "yor-Latn")[1].sum().backward()
    assert model.adaptation.unfrozen[name.replace(".", "/")].grad.abs().sum() > 0
    assert stack.get_parameter(name).grad is None
    assert torch.equal(stack.get_parameter(name), before)


# ---- The cache is transparent ----------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 2])
def test_cached_and_fresh_states_train_alike(tiny_backbone, cut):
    """Gradients from states of the cache's table are those from states computed for the batch."""
    stack = tiny_backbone.stack
    features = [Features(str(i), tuple(ids)) for i, ids in enumerate(IDS)]
    encoded = encode(
        features, tiny_backbone, cut=cut, dtype="float32", max_bytes=10**9, device=CPU
    )  # fmt: skip
    gradients = []
    for states in (encoded.table.batch([2, 0, 1]), states_at([IDS[2], IDS[0], IDS[1]], stack, cut, CPU)):
        model = grafted(stack, cut=cut, prompt={"name": "deep"}, adapter={"name": "bottleneck", "dropout": 0.0}).train()
        logits = model(states, "yor-Latn")[1]
        nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
        gradients.append({name: p.grad for name, p in model.adaptation.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert any(name.startswith("prompt.language.yor-Latn") for name in gradients[0])
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-6)


# ---- What trains and what does not -----------------------------------------------------------------


def test_only_the_adaptation_enters_train_mode(tiny_backbone):
    """The stack stays in eval mode, module by module, whatever the model is told."""
    model = grafted(tiny_backbone.stack, prompt={"name": "deep"}, adapter={"name": "bottleneck"})
    for mode in (True, False, True):
        assert model.train(mode) is model
        assert not any(module.training for module in model.stack.modules())
        assert all(module.training is mode for module in model.adaptation.modules())


def test_only_the_adaptation_has_gradients(tiny_backbone):
    """The backbone's parameters ask for none and get none."""
    model = grafted(tiny_backbone.stack, prompt={"name": "deep"}, adapter={"name": "bottleneck"}).train()
    model(states_at(IDS, tiny_backbone.stack, 1, CPU), "yor-Latn")[1].sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in model.stack.parameters())
    assert all(p.requires_grad for p in model.adaptation.parameters())
    assert not any(name.startswith("stack") for name in model.adaptation.state_dict())


def test_dropout_is_in_the_trained_parts_only(tiny_backbone):
    """In train mode a backbone whose configuration asks for dropout repeats itself, a trained adapter does not."""
    states = states_at(IDS, tiny_backbone.stack, 1, CPU)
    assert max(m.p for m in tiny_backbone.stack.modules() if isinstance(m, nn.Dropout)) > 0
    for dropout, same in ((0.0, True), (0.5, False)):
        adapter = {"name": "bottleneck", "dropout": dropout}
        model = grafted(tiny_backbone.stack, prompt={"name": "deep"}, adapter=adapter)
        with torch.no_grad():
            for parameter in model.adaptation.parameters():
                parameter.add_(torch.randn_like(parameter))
            one, other = (model.train()(states, "yor-Latn")[1] for _ in range(2))
            assert torch.equal(one, other) is same
            assert torch.equal(*(model.eval()(states, "yor-Latn")[1] for _ in range(2)))


def test_logits_reach_every_trained_part(tiny_backbone):
    """Each parameter of the task part, of the language at hand and of the head gets a gradient."""
    adapter = {"name": "bottleneck", "dropout": 0.0}
    model = grafted(tiny_backbone.stack, prompt={"name": "deep"}, adapter=adapter).train()
    with torch.no_grad():
        for parameter in model.adaptation.parameters():
            parameter.add_(torch.randn_like(parameter))
    model(states_at(IDS, tiny_backbone.stack, 1, CPU), "yor-Latn")[1].square().sum().backward()
    named = dict(model.adaptation.named_parameters())
    reached = {name for name, parameter in named.items() if parameter.grad is not None and parameter.grad.any()}
    assert reached == {name for name in named if "quy-Latn" not in name}
    assert all(parameter.grad is None for name, parameter in named.items() if name not in reached)


# ---- Edges ----------------------------------------------------------------------------------------


def test_a_block_of_its_own_is_one_layer_further(tiny_backbone):
    """A step raises the layer by one and leaves mask and length."""
    states = states_at(IDS, tiny_backbone.stack, 0, CPU)
    assert states.layer == 0
    after = step(tiny_backbone.stack, 0, states, torch.randn(4, 24))
    assert (after.layer, after.tokens.shape, after.mask is states.mask) == (1, states.tokens.shape, True)
    assert not torch.allclose(after.tokens, step(tiny_backbone.stack, 0, states).tokens)


def test_an_adaptation_without_parts_is_a_head(tiny_backbone):
    """`prompt: null` and `adapter: null` leave a linear head on frozen states."""
    model = grafted(tiny_backbone.stack)
    assert {name for name, _ in model.adaptation.named_parameters()} == {"head.weight", "head.bias"}
    assert isinstance(model.adaptation, Adaptation)


def test_virtual_tokens_of_a_carried_prompt_do_not_leave(tiny_backbone):
    """Prompt rows that came with the states are taken off at the end too."""
    model = grafted(tiny_backbone.stack, cut=0)
    states = states_at(IDS, tiny_backbone.stack, 0, CPU)
    final = model.run_layers(replace(states, prompt_length=1), "yor-Latn")
    assert final.tokens.shape[1] == states.tokens.shape[1] - 1
