"""Contract of every registered prompt, and what is particular to ours."""

from itertools import product

import pytest
import torch
from torch import nn

from lingraft.backbones.loading import weights_digest
from lingraft.encode import states_at
from lingraft.model import Adaptation, GraftedModel
from lingraft.prompts import insert, prompts
from lingraft.prompts.deep import PromptRows
from lingraft.records import States

LANGUAGES = ["yor-Latn", "quy-Latn"]
WIDTH = 24
IDS = [[1, 5, 6, 7, 2], [1, 9, 2]]


def initial(layer, count):
    """Rows that say which layer asked for them."""
    return torch.full((count, WIDTH), 1.0 + layer)


def built(name, layers, **options):
    """A prompt of width 24 for two languages."""
    return prompts.build(name, options)(WIDTH, layers, LANGUAGES, initial)


@pytest.fixture(params=list(prompts))
def name(request):
    """Each registered prompt."""
    return request.param


# ---- Contract --------------------------------------------------------------------------------------


def test_rows_have_the_backbone_s_width(name):
    """Wherever a prompt has rows they are [P, H], it has some for the first block, and none outside its range."""
    prompt = built(name, range(1, 4))
    for layer, language in product(range(5), [*LANGUAGES, "eng-Latn"]):
        rows = prompt(layer, language)
        if layer == 1:
            assert rows is not None
        if layer not in range(1, 4):
            assert rows is None
        if rows is not None:
            assert (rows.dim(), rows.shape[1], rows.dtype) == (2, WIDTH, torch.float32)
            assert len(rows) > 0


def test_a_language_never_trained_for_has_the_task_part(name):
    """Rows of an unknown language are where those of a known one begin, and are the same for all unknown ones."""
    prompt = built(name, range(1, 4))
    assert torch.equal(prompt(1, "eng-Latn"), prompt(1, "swh-Latn"))
    assert torch.equal(prompt(1, "yor-Latn")[: len(prompt(1, "eng-Latn"))], prompt(1, "eng-Latn"))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_step_moves_the_prompt_and_not_the_backbone(name, training, tiny_backbone):
    """After an optimiser step the backbone's digest is what it was; the rows are not."""
    stack, device = tiny_backbone.stack, torch.device("cpu")
    torch.manual_seed(0)
    cut = 1
    prompt = built(name, range(cut, stack.num_layers))
    model = GraftedModel(stack, Adaptation(prompt, None, nn.Linear(WIDTH, 2))).train(training)
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
    """Loaded into a prompt that began elsewhere, the saved tensors give the same rows."""
    prompt = built(name, range(2))
    other = prompts.build(name)(WIDTH, range(2), LANGUAGES, lambda _, count: torch.zeros(count, WIDTH))
    other.load_state_dict(prompt.state_dict())
    assert torch.equal(prompt(0, "yor-Latn"), other(0, "yor-Latn"))


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


@pytest.mark.parametrize("kind", ["deep", "input"])
def test_either_part_may_be_left_out(kind):
    """Without task rows the languages have theirs; without both there is nothing."""
    assert built(kind, range(2), length=0, language_length=2)(0, "yor-Latn").shape == (2, WIDTH)
    assert built(kind, range(2), length=0, language_length=2)(0, "eng-Latn") is None
    assert built(kind, range(2), length=2, language_length=0)(0, "yor-Latn").shape == (2, WIDTH)
    nothing = built(kind, range(2), length=0, language_length=0)
    assert nothing(0, "yor-Latn") is None
    assert not list(nothing.parameters())


def test_noise_is_small_and_follows_the_seed():
    """With `init: normal` rows are draws of standard deviation 0.02."""
    rows = []
    for _ in range(2):
        torch.manual_seed(3)
        rows.append(built("deep", range(1), length=500, init="normal")(0, "eng-Latn"))
    assert torch.equal(*rows)
    assert rows[0].std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(("option", "value"), [("length", -1), ("language_length", -2), ("init", "zeros")])
@pytest.mark.parametrize("kind", ["deep", "input"])
def test_impossible_options_are_refused(kind, option, value):
    """A negative length is found before a model is loaded."""
    (problem,) = prompts.check(kind, {option: value}, "prompt")
    assert problem.startswith(f"prompt.{option}: ")


def test_only_the_layers_asked_for_have_parameters():
    """Deep prompts of two blocks and two languages are six blocks of rows."""
    prompt = PromptRows(range(1, 3), LANGUAGES, initial, length=4, language_length=2, carried=False)
    assert sum(p.numel() for p in prompt.parameters()) == WIDTH * (2 * 4 + 2 * 2 * 2)


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
