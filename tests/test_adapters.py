"""Contract of every registered adapter, and what is particular to ours."""

import pytest
import torch
import torch.nn.functional as F

from lingraft.adapters import adapters
from lingraft.adapters.bottleneck import Bottleneck
from lingraft.backbones.loading import weights_digest
from lingraft.encode import states_at
from lingraft.model import Adaptation, GraftedModel

LANGUAGES = ["yor-Latn", "quy-Latn"]
WIDTH = 24
LAYERS = range(1, 3)
IDS = [[1, 5, 6, 7, 2], [1, 9, 2]]


def built(name, **options):
    """An adapter of width 24 for two languages and two blocks."""
    torch.manual_seed(1)
    return adapters.build(name, options)(WIDTH, LAYERS, LANGUAGES)


def shaken(module):
    """The module with all its parameters moved away from where they began."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    return module


@pytest.fixture(params=list(adapters))
def name(request):
    """Each registered adapter."""
    return request.param


@pytest.fixture
def hidden():
    """States of three texts."""
    return torch.randn(3, 4, WIDTH, generator=torch.Generator().manual_seed(0))


# ---- Contract --------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_nothing_changes_at_initialisation(name, training, hidden):
    """At every layer, in every language and in both modes a new adapter is the identity, bit for bit."""
    adapter = built(name).train(training)
    for layer in LAYERS:
        for language in [*LANGUAGES, "eng-Latn"]:
            assert torch.equal(adapter(layer, language, hidden), hidden)


def test_layers_outside_the_range_are_left_alone(name, hidden):
    """Below the cut nothing is adapted, trained or not."""
    assert torch.equal(shaken(built(name))(0, "yor-Latn", hidden), hidden)


def test_the_language_part_is_active_for_its_language_only(name, hidden):
    """Moving Yoruba's part changes Yoruba, and neither Quechua nor English."""
    adapter = built(name).eval()
    with torch.no_grad():
        for key, parameter in adapter.named_parameters():
            if "yor-Latn" in key:
                parameter.add_(torch.randn_like(parameter))
    for layer in LAYERS:
        assert not torch.allclose(adapter(layer, "yor-Latn", hidden), hidden)
        for language in ("quy-Latn", "eng-Latn", "swh-Latn"):
            assert torch.equal(adapter(layer, language, hidden), hidden)


def test_the_task_part_is_shared(name, hidden):
    """Moving what is nobody's alone changes all languages, in the same way."""
    adapter = built(name).eval()
    with torch.no_grad():
        for key, parameter in adapter.named_parameters():
            if not any(language in key for language in LANGUAGES):
                parameter.add_(torch.randn_like(parameter))
    changed = [adapter(1, language, hidden) for language in [*LANGUAGES, "eng-Latn"]]
    assert not torch.allclose(changed[0], hidden)
    assert all(torch.equal(changed[0], other) for other in changed)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_steps_move_the_adapter_and_not_the_backbone(name, training, tiny_backbone):
    """Two steps in one language leave the backbone's digest and the other language's part as they were."""
    stack = tiny_backbone.stack
    adapter = built(name)
    model = GraftedModel(stack, Adaptation(None, adapter, torch.nn.Linear(WIDTH, 2))).train(training)
    before = {key: value.clone() for key, value in adapter.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.0)
    for _ in range(2):
        optimizer.zero_grad()
        model(states_at(IDS, stack, 1, torch.device("cpu")), "yor-Latn")[1].square().sum().backward()
        optimizer.step()
    assert weights_digest(stack) == tiny_backbone.weights_digest
    moved = {key for key, value in adapter.state_dict().items() if not torch.equal(value, before[key])}
    assert any("yor-Latn" in key for key in moved)
    assert any("yor-Latn" not in key for key in moved)
    assert not any("quy-Latn" in key for key in moved)


def test_texts_and_positions_do_not_mix(name, hidden):
    """Each position is adapted by itself, so padding cannot reach a word."""
    adapter = shaken(built(name)).eval()
    together = adapter(1, "yor-Latn", hidden)
    torch.testing.assert_close(together[1:2, 2:3], adapter(1, "yor-Latn", hidden[1:2, 2:3]))


def test_eval_mode_repeats_itself(name, hidden):
    """Without training there is no dropout."""
    adapter = shaken(built(name)).eval()
    assert torch.equal(adapter(1, "yor-Latn", hidden), adapter(1, "yor-Latn", hidden))


# ---- Ours ------------------------------------------------------------------------------------------


def test_bottlenecks_are_added_by_hand(hidden):
    """Task and language corrections, each up(gelu(down(x))), are added to the states."""
    adapter = shaken(built("bottleneck", width=3, language_width=2)).eval()
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


def test_either_part_may_be_left_out(hidden):
    """A width of 0 leaves a part out."""
    assert not any("language" in key for key in built("bottleneck", language_width=0).state_dict())
    assert not any("task" in key for key in built("bottleneck", width=0).state_dict())
    adapter = built("bottleneck", width=0, language_width=0)
    assert torch.equal(adapter(1, "yor-Latn", hidden), hidden)


@pytest.mark.parametrize(
    ("option", "value"), [("width", -1), ("language_width", -1), ("dropout", 2), ("dropout", -0.1), ("width", "x")]
)
def test_impossible_options_are_refused(option, value):
    """A negative width or a dropout beyond 1 is found before a model is loaded."""
    (problem,) = adapters.check("bottleneck", {option: value}, "adapter")
    assert problem.startswith(f"adapter.{option}: ")
