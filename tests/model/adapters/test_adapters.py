"""Contract of every registered adapter, and what is particular to bottlenecks and scaling."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from lingraft.backbones import backbones
from lingraft.backbones.digests import weights_digest
from lingraft.backbones.loading import empty_stack
from lingraft.backbones.walk import states_at
from lingraft.core.errors import CheckpointError, ConfigError
from lingraft.model.adaptation import Adaptation
from lingraft.model.adapters import adapters, linear_layers
from lingraft.model.adapters.bottleneck import Bottleneck
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from tiny import random_model

LANGUAGES = ["yor-Latn", "quy-Latn"]
EVERYONE = [*LANGUAGES, "eng-Latn"]
WIDTH = 24
LAYERS = range(1, 3)
IDS = [[1, 5, 6, 7, 2], [1, 9, 2], [1, 8, 5, 2]]
OPTIONS = {"adapterhub": {"folders": {}}}
SPLIT = ["bottleneck", "scaling"]  # those that have a trained part per language
BOTH_MODES = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
EACH = pytest.mark.parametrize("name", list(adapters))


@pytest.fixture
def stack(tiny_backbone):
    """A random BERT of three layers."""
    return tiny_backbone.stack


def built(name, stack, **options):
    """An adapter for two languages and two blocks."""
    torch.manual_seed(1)
    return adapters.build(name, {**OPTIONS.get(name, {}), **options})(stack, LAYERS, LANGUAGES)


def shaken(module, only=""):
    """The module with its parameters moved away from where they began."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for key, parameter in module.named_parameters():
            if only in key:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module


def final(adapter, stack, language, ids=IDS, training=False):
    """States after the last layer, computed from layer 1, without padding."""
    model = GraftedModel(stack, Adaptation(None, adapter, LinearClassifier(WIDTH, 2))).train(training)
    states = states_at(ids, stack, 1, torch.device("cpu"))
    with torch.no_grad():
        return model(states, language)[0].tokens[states.mask.bool()]


# ---- Contract --------------------------------------------------------------------------------------


@BOTH_MODES
@EACH
def test_nothing_changes_at_initialisation(name, training, stack):
    """In every language and in both modes a new adapter leaves the bare model's states."""
    adapter, bare = built(name, stack), final(None, stack, "yor-Latn")
    for language in EVERYONE:
        torch.testing.assert_close(final(adapter, stack, language, training=training), bare, rtol=1e-5, atol=1e-6)


@EACH
def test_layers_below_the_cut_are_left_alone(name, stack):
    """Nothing is adapted there, trained or not."""
    adapter = shaken(built(name, stack))
    hidden = torch.randn(3, 4, WIDTH)
    for language in EVERYONE:
        assert torch.equal(adapter(0, language, hidden), hidden)
        assert adapter.feed_forward(0, language) is None
        assert not any(key.startswith(("layers.0.", "embeddings.")) for key in adapter.weights(stack, language))


@pytest.mark.parametrize("name", SPLIT)
def test_the_language_part_is_active_for_its_language_only(name, stack):
    """Moving Yoruba's part changes Yoruba, and neither Quechua nor English."""
    adapter, bare = built(name, stack), final(built(name, stack), stack, "yor-Latn")
    shaken(adapter, only="yor-Latn")
    assert not torch.allclose(final(adapter, stack, "yor-Latn"), bare)
    for language in ("quy-Latn", "eng-Latn", "swh-Latn"):
        assert torch.equal(final(adapter, stack, language), bare)


@EACH
def test_the_task_part_is_shared(name, stack):
    """Moving what is nobody's alone changes all languages, in the same way."""
    adapter = shaken(built(name, stack), only="task.")
    changed = [final(adapter, stack, language) for language in EVERYONE]
    assert not torch.allclose(changed[0], final(None, stack, "yor-Latn"))
    assert all(torch.equal(changed[0], other) for other in changed)


@EACH
def test_parameters_are_named_by_part_and_layer(name, stack):
    """What trains is told by its name: task.LAYER or language.CODE.LAYER."""
    for key, _ in built(name, stack).named_parameters():
        part, *rest = key.split(".")
        layer = rest[0] if part == "task" else rest[1]
        assert part in ("task", "language")
        assert int(layer) in LAYERS


@BOTH_MODES
@EACH
def test_steps_move_the_adapter_and_not_the_backbone(name, training, tiny_backbone):
    """Two steps in one language leave the backbone's digest and the other language's part as they were."""
    stack = tiny_backbone.stack
    adapter = built(name, stack)
    model = GraftedModel(stack, Adaptation(None, adapter, LinearClassifier(WIDTH, 2))).train(training)
    before = {key: value.clone() for key, value in adapter.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.0)
    for _ in range(2):
        optimizer.zero_grad()
        model(states_at(IDS, stack, 1, torch.device("cpu")), "yor-Latn")[1].square().sum().backward()
        optimizer.step()
    assert weights_digest(stack) == tiny_backbone.weights_digest
    moved = {key for key, value in adapter.state_dict().items() if not torch.equal(value, before[key])}
    assert any("yor-Latn" in key for key in moved) == (name in SPLIT)
    assert any("yor-Latn" not in key for key in moved)
    assert not any("quy-Latn" in key for key in moved)


@EACH
def test_texts_do_not_mix(name, stack):
    """A text alone gives what it gives in a batch, so padding cannot reach a word."""
    adapter = shaken(built(name, stack))
    together = final(adapter, stack, "yor-Latn")[5:8]
    torch.testing.assert_close(together, final(adapter, stack, "yor-Latn", ids=IDS[1:2]), rtol=1e-4, atol=1e-5)


@EACH
def test_eval_mode_repeats_itself(name, stack):
    """Without training there is no dropout."""
    adapter = shaken(built(name, stack))
    assert torch.equal(final(adapter, stack, "yor-Latn"), final(adapter, stack, "yor-Latn"))


@EACH
def test_parameters_can_be_counted_without_weights(name, stack, tiny_checkpoint):
    """On the meta device there are as many, and asking what would be replaced works."""
    empty = empty_stack(str(tiny_checkpoint))
    counted, real = built(name, empty), built(name, stack)
    shapes = [{key: value.shape for key, value in one.named_parameters()} for one in (counted, real)]
    assert shapes[0] == shapes[1]
    assert counted.weights(empty, "yor-Latn").keys() == real.weights(stack, "yor-Latn").keys()


@pytest.mark.parametrize("family", backbones.names())
def test_an_empty_stack_has_the_shapes_of_the_whole_one(family, tmp_path):
    """Of every family, from the configuration alone."""
    model = random_model(family)
    model.config.save_pretrained(tmp_path)
    empty, whole = empty_stack(str(tmp_path)), backbones.build(family)(model)
    assert all(parameter.is_meta for parameter in empty.parameters())
    found = {name: parameter.shape for name, parameter in empty.named_parameters()}
    assert found == {name: parameter.shape for name, parameter in whole.named_parameters()}
    assert (empty.num_layers, empty.width, empty.num_heads) == (whole.num_layers, whole.width, whole.num_heads)
    assert empty.max_length == whole.max_length
    with pytest.raises(CheckpointError, match="there is no folder"):
        empty_stack(str(tmp_path / "nowhere"))
    (tmp_path / "config.json").write_text(
        '{"model_type": "bert", "num_hidden_layers": 1, "hidden_size": 7, "vocab_size": 9}'
    )
    with pytest.raises(CheckpointError, match=r"cannot be loaded: ValueError.*see config\.json"):
        empty_stack(str(tmp_path))


@pytest.mark.checkpoint
def test_the_bundled_checkpoint_can_be_counted_before_it_is_converted(e5):
    """Its shapes follow from what is known of the bundle."""
    empty = empty_stack("bundled:multilingual-e5-small")
    found = {name: parameter.shape for name, parameter in empty.named_parameters()}
    assert found == {name: parameter.shape for name, parameter in e5.stack.named_parameters()}
    assert (empty.num_heads, empty.max_length) == (e5.stack.num_heads, e5.stack.max_length)


@EACH
def test_a_saved_state_is_loaded_into_a_new_one(name, stack):
    """Same options, other initial values: the loaded adapter computes what the saved one did."""
    adapter = shaken(built(name, stack))
    torch.manual_seed(9)
    again = adapters.build(name, OPTIONS.get(name, {}))(stack, LAYERS, LANGUAGES)
    again.load_state_dict(adapter.state_dict())
    assert torch.equal(final(again, stack, "quy-Latn"), final(adapter, stack, "quy-Latn"))


# ---- Bottlenecks -----------------------------------------------------------------------------------


@pytest.fixture
def hidden():
    """States of three texts."""
    return torch.randn(3, 4, WIDTH, generator=torch.Generator().manual_seed(0))


def test_bottlenecks_are_added_by_hand(hidden, stack):
    """Task and language corrections, each up(gelu(down(x))), are added to the states."""
    adapter = shaken(built("bottleneck", stack, width=3, language_width=2)).eval()
    expected = hidden
    for part in (adapter.task["2"], adapter.language["quy-Latn"]["2"]):
        inner = F.gelu(hidden @ part.down.weight.T + part.down.bias)
        expected = expected + inner @ part.up.weight.T + part.up.bias
    torch.testing.assert_close(adapter(2, "quy-Latn", hidden), expected)


def test_dropout_is_inside_the_bottleneck(hidden):
    """In train mode all of the inner states dropped leave the bias of `up`, and the states themselves."""
    bottleneck = shaken(Bottleneck(WIDTH, 3, dropout=1.0)).train()
    torch.testing.assert_close(bottleneck(hidden), bottleneck.up.bias.expand_as(hidden))


def test_dropout_keeps_the_mean(hidden):
    """Over many draws train mode gives, on average, what eval mode gives."""
    bottleneck = shaken(Bottleneck(WIDTH, 3, dropout=0.5))
    torch.manual_seed(0)
    many = bottleneck.train()(hidden[:1, :1].expand(20000, 1, WIDTH)).mean(0, keepdim=True)
    torch.testing.assert_close(many, bottleneck.eval()(hidden[:1, :1]), rtol=0.05, atol=0.1)


def test_either_part_may_be_left_out(hidden, stack):
    """A width of 0 leaves a part out."""
    assert not any("language" in key for key in built("bottleneck", stack, language_width=0).state_dict())
    assert not any("task" in key for key in built("bottleneck", stack, width=0).state_dict())
    adapter = built("bottleneck", stack, width=0, language_width=0)
    assert torch.equal(adapter(1, "yor-Latn", hidden), hidden)


@pytest.mark.parametrize(
    ("option", "value"), [("width", -1), ("language_width", -1), ("dropout", 2), ("dropout", -0.1), ("width", "x")]
)
def test_impossible_options_are_refused(option, value):
    """A negative width or a dropout beyond 1 is found before a model is loaded."""
    (problem,) = adapters.check("bottleneck", {option: value}, "adapter")
    assert problem.startswith(f"adapter.{option}: ")


# ---- Scaling ---------------------------------------------------------------------------------------


def query_rows(family, heads, rows, share):
    """The rows of a fused projection that make queries: in BLOOM a third of each head's, else the first ones."""
    if family == "bloom":
        width = rows // heads // 3
        return [row for head in range(heads) for row in range(3 * head * width, (3 * head + 1) * width)]
    return list(range(round(rows * share)))


def scaled_by_hand(original, facts, adapter, language, ids):
    """(IA)³ as its paper has it, on activations: forward hooks on Hugging Face's modules."""
    parts = [adapter.task, *([adapter.language[language]] if language in adapter.language else [])]

    def factors(layer, name):
        return torch.stack([1 + part[str(layer)][name.replace(".", "/")] for part in parts]).prod(dim=0)

    def scale_outputs(_, __, out, by, share):
        queries = query_rows(original.config.model_type, original.config.num_attention_heads, out.shape[-1], share)
        others = [row for row in range(out.shape[-1]) if row not in queries]
        scaled = out.clone()
        scaled[..., others] *= by
        return scaled

    for layer in LAYERS:
        block = original.get_submodule(facts.blocks)[layer]
        for name, share in facts.keys_values.items():
            by = factors(layer, f"{name}/outputs")
            block.get_submodule(name).register_forward_hook(partial(scale_outputs, by=by, share=share))
        by = factors(layer, f"{facts.feed_forward}/inputs")
        block.get_submodule(facts.feed_forward).register_forward_pre_hook(lambda _, given, by=by: (given[0] * by,))
    mask = torch.tensor([[1] * len(text) + [0] * (5 - len(text)) for text in ids])
    tokens = torch.tensor([text + [0] * (5 - len(text)) for text in ids])
    with torch.no_grad():
        return original(tokens, attention_mask=mask).last_hidden_state[mask.bool()]


@pytest.mark.parametrize("language", EVERYONE)
@pytest.mark.parametrize("family", backbones.names())
def test_scaling_weights_is_scaling_activations(family, language):
    """What (IA)³ does to keys, values and inner states, exactly, through the weights alone."""
    stack = backbones.build(family)(random_model(family))
    adapter = shaken(built("scaling", stack))
    expected = scaled_by_hand(random_model(family), stack.facts, adapter, language, IDS)
    torch.testing.assert_close(final(adapter, stack, language), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", backbones.names())
def test_every_family_has_keys_values_and_inner_states(family):
    """Per layer a factor for each key, value and inner state; the rows that make queries stay as they are."""
    model = random_model(family)
    stack = backbones.build(family)(model)
    adapter = built("scaling", stack)
    groups = getattr(model.config, "num_key_value_heads", 2)  # of heads, which share keys and values
    width = getattr(model.config, "head_dim", None) or 12
    expected = 2 * groups * width + model.config.intermediate_size
    assert sum(parameter.numel() for parameter in adapter.task["1"].parameters()) == expected
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.fill_(1.0)
    changed = adapter.weights(stack, "eng-Latn")
    for name, share in stack.facts.keys_values.items():
        before = stack.get_parameter(f"layers.1.{name}.weight")
        expected, queries = 2 * before, query_rows(family, 2, len(before), share)
        expected[queries] = before[queries]
        torch.testing.assert_close(changed[f"layers.1.{name}.weight"], expected)
    layers = {name.rpartition(".")[0] for name in changed if name.startswith("layers.1.")}
    assert layers == {f"layers.1.{name}" for name in (*stack.facts.keys_values, stack.facts.feed_forward)}


def test_scaling_may_leave_out_parts(stack):
    """Other layers, no language parts; a name that no layer has is answered with those there are."""
    adapter = built("scaling", stack, targets=["query"], feed_forward=[], language=False)
    names = [key for key, _ in adapter.named_parameters()]
    assert names == [f"task.{layer}.attention/self/query/outputs" for layer in LAYERS]
    with pytest.raises(ConfigError, match=r"'q_proj' names no linear layer .* each block has attention\.self\.query, "):
        built("scaling", stack, targets=["q_proj"])


def test_scaling_nothing_at_all_is_refused(stack):
    """Without a place there is nothing to train."""
    with pytest.raises(ConfigError, match="`targets` and `feed_forward` are both empty"):
        built("scaling", stack, targets=[], feed_forward=[])


def test_a_target_is_a_name_or_the_end_of_one(stack):
    """`output.dense` exists as it stands, so the attention's is not meant; `dense` means three."""
    layers = range(2, 3)
    assert linear_layers(stack, layers, ["output.dense"]) == [(2, "output.dense")]
    assert {name for _, name in linear_layers(stack, layers, ["dense"])} == {
        "attention.output.dense", "intermediate.dense", "output.dense",
    }  # fmt: skip
    assert len(linear_layers(stack, layers)) == 6
    assert linear_layers(stack, range(3, 3)) == []
