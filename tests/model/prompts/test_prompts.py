"""Contract of every registered prompt, and what is particular to ours."""

from dataclasses import dataclass
from itertools import product

import pytest
import torch

from lingraft.backbones import Prefix, backbones
from lingraft.backbones.digests import weights_digest
from lingraft.backbones.walk import states_at
from lingraft.core.errors import ConfigError
from lingraft.core.records import States
from lingraft.model.adaptation import Adaptation
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.model.prompts import beginning, insert, prompts
from tiny import random_model

LANGUAGES = ["yor-Latn", "quy-Latn"]
WIDTH = 24
IDS = [[1, 5, 6, 7, 2], [1, 9, 2]]


@dataclass
class Shape:
    """What a prompt needs to know of a stack."""

    width: int = WIDTH
    num_heads: int = 2
    head_width: int = WIDTH // 2


def initial(how, layer, count):
    """Rows that say which layer asked for them."""
    return torch.full((count, WIDTH), 1.0 + layer)


def built(name, layers, **options):
    """A prompt of width 24 for two languages."""
    return prompts.build(name, options)(Shape(), layers, LANGUAGES, initial)


def rows_of(given):
    """What a prompt gives for a layer, as rows: prefixes one after the other, memories a row of all heads each."""
    if not isinstance(given, tuple):
        return given
    return torch.cat([one.rows if isinstance(one, Prefix) else one.matrix.transpose(0, 1).flatten(1) for one in given])


def grafted(prompt, stack):
    """The stack with this prompt and a head of two classes."""
    torch.manual_seed(0)
    return GraftedModel(stack, Adaptation(prompt, None, LinearClassifier(WIDTH, 2)))


@pytest.fixture(params=list(prompts))
def name(request):
    """Each registered prompt."""
    return request.param


# ---- Contract --------------------------------------------------------------------------------------


def test_rows_have_the_backbone_s_width(name):
    """Wherever a prompt has rows they are [P, H], it has some for the first block, and none outside its range."""
    prompt = built(name, range(1, 4))
    asked = product(range(5), [*LANGUAGES, "eng-Latn"])
    found = {(layer, language): rows_of(prompt(layer, language)) for layer, language in asked}
    there = {key: rows for key, rows in found.items() if rows is not None}
    assert {layer for layer, _ in there} <= set(range(1, 4))
    assert {language for layer, language in there if layer == 1} == {*LANGUAGES, "eng-Latn"}
    for rows in there.values():
        assert (rows.dim(), rows.shape[1], rows.dtype) == (2, WIDTH, torch.float32)
        assert len(rows) > 0


def test_a_language_never_trained_for_has_the_task_part(name):
    """Rows of an unknown language are where those of a known one begin, and are the same for all unknown ones."""
    prompt = built(name, range(1, 4))
    known, one, other = (rows_of(prompt(1, language)) for language in ("yor-Latn", "eng-Latn", "swh-Latn"))
    assert torch.equal(one, other)
    assert torch.equal(known[: len(one)], one)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_step_moves_the_prompt_and_not_the_backbone(name, training, tiny_backbone):
    """After an optimiser step the backbone's digest is what it was; the rows are not."""
    stack, device = tiny_backbone.stack, torch.device("cpu")
    cut = 1
    prompt = built(name, range(cut, stack.num_layers))
    model = grafted(prompt, stack).train(training)
    before = {key: value.clone() for key, value in prompt.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    _, logits = model(states_at(IDS, stack, cut, device), "yor-Latn")
    logits.square().sum().backward()
    optimizer.step()
    assert weights_digest(stack) == tiny_backbone.weights_digest
    moved = {key for key, value in prompt.state_dict().items() if not torch.equal(value, before[key])}
    assert moved
    assert not any("quy-Latn" in key for key in moved)


def test_a_prompt_saves_all_it_is(name):
    """Loaded into a prompt that began elsewhere, the saved tensors give the same rows and gates."""
    prompt = built(name, range(2))
    with torch.no_grad():
        for parameter in prompt.parameters():
            parameter.add_(torch.randn_like(parameter))
    other = prompts.build(name)(Shape(), range(2), LANGUAGES, lambda how, _, count: torch.zeros(count, WIDTH))
    other.load_state_dict(prompt.state_dict())
    mine, theirs = prompt(0, "yor-Latn"), other(0, "yor-Latn")
    assert torch.equal(rows_of(mine), rows_of(theirs))
    gates = [
        [one.gate for one in found if isinstance(one, Prefix)] if isinstance(found, tuple) else []
        for found in (mine, theirs)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*gates, strict=True))


def test_parameters_can_be_counted_without_a_model(name):
    """A stack on the meta device is enough to build."""
    with torch.device("meta"):
        stack = backbones.build("bert")(random_model("bert"))
    prompt = prompts.build(name)(stack, range(1, 3), LANGUAGES, initial)
    assert sum(parameter.numel() for parameter in prompt.parameters()) > 0


# ---- Ours ------------------------------------------------------------------------------------------


def test_deep_has_rows_of_its_own_at_every_block():
    """Task rows first, then the language's; each block has its own."""
    prompt = built("deep", range(1, 3), length=2, language_length=1)
    prompt.task["2"].data.fill_(7.0)
    prompt.language["yor-Latn"]["2"].data.fill_(9.0)
    assert prompt(1, "yor-Latn")[:, 0].tolist() == [2.0, 2.0, 2.0]
    assert prompt(2, "yor-Latn")[:, 0].tolist() == [7.0, 7.0, 9.0]
    assert prompt(2, "quy-Latn")[:, 0].tolist() == [7.0, 7.0, 3.0]
    assert prompt(2, "eng-Latn")[:, 0].tolist() == [7.0, 7.0]
    assert not prompt.carried


def test_input_has_rows_before_the_first_block_only():
    """The classic soft prompt enters once and is carried on."""
    prompt = built("input", range(0, 3), length=2, language_length=1)
    assert prompt(0, "yor-Latn").shape == (3, WIDTH)
    assert prompt(1, "yor-Latn") is None
    assert prompt.carried


OURS = ["deep", "gated", "input", "reparameterised"]


@pytest.mark.parametrize("kind", OURS)
def test_either_part_may_be_left_out(kind):
    """Without task rows the languages have theirs; without both there is nothing."""
    only_language = built(kind, range(2), length=0, language_length=2)
    assert rows_of(only_language(0, "yor-Latn")).shape == (2, WIDTH)
    assert only_language(0, "eng-Latn") is None
    only_task = built(kind, range(2), length=2, language_length=0)
    assert rows_of(only_task(0, "yor-Latn")).shape == (2, WIDTH)
    nothing = built(kind, range(2), length=0, language_length=0)
    assert nothing(0, "yor-Latn") is None
    assert not list(nothing.parameters())


@pytest.mark.parametrize("init", ["states", "normal", "vocabulary", "labels", "text"])
@pytest.mark.parametrize("kind", OURS)
def test_rows_start_as_the_option_says(kind, init):
    """Each block of rows is asked for by the name of the start, the layer, and how many there are."""
    asked = []

    def noted(how, layer, count):
        asked.append((how, layer, count))
        return torch.zeros(count, WIDTH)

    text = {"text": "ada beli"} if init == "text" else {}
    prompts.build(kind, {"length": 2, "language_length": 1, "init": init, **text})(Shape(), range(3, 5), ["yor"], noted)

    how, layers = ("text:ada beli" if text else init), [3] if kind == "input" else [3, 4]
    assert asked == [(how, layer, count) for count in (2, 1) for layer in layers]


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize(
    "options", [{"init": "text"}, {"init": "text", "text": " "}, {"text": "ada"}, {"init": "labels", "text": "ada"}]
)
def test_a_text_goes_with_its_start_and_no_other(kind, options):
    """A text for nothing, and a start without its text, are refused by name."""
    with pytest.raises(ConfigError, match=r"prompt\.text: "):
        prompts.build(kind, options)


def test_a_text_reaches_the_start_as_it_is():
    """Spaces and colons of the text are the text's own."""
    assert beginning("text", " a: b") == "text: a: b"
    assert beginning("labels", None) == "labels"


@pytest.mark.parametrize(("option", "value"), [("length", -1), ("language_length", -2), ("init", "zeros")])
@pytest.mark.parametrize("kind", OURS)
def test_impossible_options_are_refused(kind, option, value):
    """A negative length is found before a model is loaded."""
    (problem,) = prompts.check(kind, {option: value}, "prompt")
    assert problem.startswith(f"prompt.{option}: ")


@pytest.mark.parametrize(
    ("kind", "more"), [("deep", 0), ("gated", 2 * (2 + 2 * 2)), ("reparameterised", 24 * 5 + 5 + 6 * 24)]
)
def test_only_the_layers_asked_for_have_parameters(kind, more):
    """Two blocks and two languages are six blocks of rows; with gates, six of those too; or one network."""
    options = {"hidden": 5} if kind == "reparameterised" else {}
    prompt = built(kind, range(1, 3), length=4, language_length=2, **options)
    assert sum(p.numel() for p in prompt.parameters()) == WIDTH * (2 * 4 + 2 * 2 * 2) + more


# ---- Gated -----------------------------------------------------------------------------------------


def test_gated_has_a_gate_per_block_of_rows_and_head():
    """The task's prefix first, then the language's; gates are called so, and begin at zero."""
    prompt = built("gated", range(1, 3), length=2, language_length=1)
    task, language = prompt(2, "yor-Latn")
    assert isinstance(task, Prefix)
    assert (task.rows.shape, language.rows.shape) == ((2, WIDTH), (1, WIDTH))
    assert task.gate.tolist() == language.gate.tolist() == [0.0, 0.0]
    assert len(prompt(2, "eng-Latn")) == 1
    assert task.gate is prompt.gate.task["2"]
    assert language.gate is prompt.gate.language["yor-Latn"]["2"]
    names = {f"prompt.{name}" for name, _ in prompt.named_parameters()}
    assert {name for name in names if ".gate" in name} == {
        f"prompt.gate.{part}.{layer}"
        for part, layer in product(["task", "language.yor-Latn", "language.quy-Latn"], [1, 2])
    }
    assert not prompt.carried


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_gated_starts_as_exactly_the_frozen_model(training, tiny_backbone):
    """Through all layers above the cut, states are those of the backbone to the bit, for any language."""
    stack = tiny_backbone.stack
    for cut in range(stack.num_layers):
        model = grafted(built("gated", range(cut, stack.num_layers)), stack).train(training)
        states = states_at(IDS, stack, cut, torch.device("cpu"))
        for language in (*LANGUAGES, "eng-Latn"):
            with torch.no_grad():
                ours, frozen = (
                    model.run_layers(states, language),
                    model.run_layers(states, language, adapters_enabled=False),
                )
            real = states.mask.bool()
            assert torch.equal(ours.tokens[real], frozen.tokens[real])


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_gates_learn_first_and_rows_once_they_are_open(training, tiny_backbone):
    """At step 0 gradients reach the gates only; after one step they reach the rows; other languages get none."""
    stack = tiny_backbone.stack
    prompt = prompts.build("gated")(
        stack, range(1, stack.num_layers), LANGUAGES, lambda how, layer, count: torch.randn(count, WIDTH)
    )
    model = grafted(prompt, stack).train(training)
    states = states_at(IDS, stack, 1, torch.device("cpu"))
    optimizer = torch.optim.SGD(prompt.parameters(), lr=0.1)
    for opened in (False, True):
        optimizer.zero_grad()
        model(states, "yor-Latn")[1].pow(3).sum().backward()
        for name, parameter in prompt.named_parameters():
            learns = "quy-Latn" not in name and (opened or name.startswith("gate."))
            assert (parameter.grad is not None and bool((parameter.grad != 0).any())) == learns, name
        optimizer.step()


# ---- Reparameterised -------------------------------------------------------------------------------


def test_reparameterised_starts_equal_to_deep():
    """A network that ends in zeros adds nothing."""
    deep, ours = built("deep", range(2)), built("reparameterised", range(2))
    for layer, language in product(range(2), LANGUAGES):
        assert torch.equal(ours(layer, language), deep(layer, language))


def test_reparameterised_adds_what_the_network_makes_of_each_row():
    """A row is used as row + up(relu(down(row))), written out."""
    prompt = built("reparameterised", range(2), length=2, language_length=1, hidden=3)
    with torch.no_grad():
        for parameter in prompt.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    prompt.requires_grad_(False)
    stored = [*prompt.task["1"], *prompt.language["yor-Latn"]["1"]]
    for used, row in zip(prompt(1, "yor-Latn"), stored, strict=True):
        inner = [max(0.0, float(w @ row + b)) for w, b in zip(prompt.down.weight, prompt.down.bias, strict=True)]
        expected = [
            float(x + sum(w * i for w, i in zip(ws, inner, strict=True)) + b)
            for x, ws, b in zip(row, prompt.up.weight, prompt.up.bias, strict=True)
        ]
        torch.testing.assert_close(used, torch.tensor(expected), atol=1e-4, rtol=1e-4)


def test_reparameterised_shares_one_network():
    """Learning in one language moves the network, and with it the rows of another."""
    prompt = built("reparameterised", range(2), length=0, language_length=2, hidden=3)
    before = prompt(0, "quy-Latn").detach()
    optimizer = torch.optim.SGD(prompt.parameters(), lr=0.1)
    prompt(0, "yor-Latn").sum().backward()
    optimizer.step()
    assert prompt.language["quy-Latn"]["0"].grad is None
    assert not torch.allclose(prompt(0, "quy-Latn"), before)


# ---- Where rows land -------------------------------------------------------------------------------


def twos(prompt_length=0):
    """Two texts of twos, three tokens and two, behind so many virtual rows of fives."""
    tokens = torch.cat([torch.full((2, prompt_length, 4), 5.0), torch.full((2, 3, 4), 2.0)], dim=1)
    mask = torch.cat([torch.ones(2, prompt_length), torch.tensor([[1.0, 1, 1], [1, 1, 0]])], dim=1).long()
    return States(tokens, mask, layer=1, prompt_length=prompt_length)


def test_insert_puts_rows_in_front():
    """Ones come before the twos of every text, and may be attended to."""
    states = insert(torch.ones(2, 4), twos())
    assert states.tokens[..., 0].tolist() == [[1.0, 1.0, 2.0, 2.0, 2.0]] * 2
    assert states.mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert (states.prompt_length, states.layer) == (2, 1)


def test_insert_replaces_earlier_rows():
    """Rows of an earlier layer make way; the words stay."""
    states = insert(torch.ones(1, 4), twos(prompt_length=3))
    assert states.tokens[..., 0].tolist() == [[1.0, 2.0, 2.0, 2.0]] * 2
    assert states.mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert states.prompt_length == 1


def test_insert_of_nothing_changes_nothing():
    """Without rows the states are the same object."""
    states = twos(prompt_length=2)
    assert insert(None, states) is states


def test_insert_passes_gradients_to_rows_and_words():
    """Each row gathers the gradient of all texts it was put before."""
    rows, states = torch.ones(1, 4, requires_grad=True), twos()
    insert(rows, states).tokens.sum().backward()
    assert rows.grad.tolist() == [[2.0] * 4]
