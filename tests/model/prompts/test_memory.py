"""Memories: what each head adds, written out; nothing at the start; what learns."""

import math

import pytest
import torch

from lingraft.backbones import backbones
from lingraft.backbones.walk import states_at
from lingraft.model.adaptation import Adaptation
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.model.prompts import prompts
from lingraft.model.prompts.memory import Memory
from stacks import build, parts, texts

LANGUAGES = ["yor-Latn", "quy-Latn"]
FAMILIES = backbones.names()
CPU = torch.device("cpu")
IDS = [[1, 5, 6, 7, 2], [1, 9, 2]]


def memories(stack, layers=range(3), *, size=0.0, **options):
    """Memories for the layers of a stack, their numbers random and of this size."""
    prompt = prompts.build("memory", options)(stack, layers, LANGUAGES, None)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in prompt.parameters():
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator))
    return prompt


def grafted(stack, prompt):
    """The stack with this prompt and a head of two classes."""
    torch.manual_seed(0)
    return GraftedModel(stack, Adaptation(prompt, None, LinearClassifier(stack.width, 2)))


def slow_block(stack, i, hidden, mask, matrix):
    """Hugging Face's block, with ``sum_k phi(q_k) M[k]`` added text by text, token by token, head by head."""
    project_query, _, _, output, _ = parts(stack, i)
    queries = project_query(hidden)
    width = queries.shape[-1] // stack.num_heads

    def add(_, inputs):
        context = inputs[0].clone()
        for text, token, head in torch.cartesian_prod(*map(torch.arange, (*hidden.shape[:2], stack.num_heads))):
            for k in range(width):
                q = float(queries[text, token, head * width + k])
                context[text, token, head * width : (head + 1) * width] += (q + 1 if q > 0 else math.exp(q)) * matrix[
                    head, k
                ]
        return (context,)

    handle = output.register_forward_pre_hook(add)
    try:
        return stack.block(i, hidden, mask)
    finally:
        handle.remove()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_memory_is_read_by_the_query_of_each_head(family, training):
    """In every family, beyond any window, the same for a padded text; and it is no small thing."""
    _, stack = build(family)
    stack.train(training)
    prompt = memories(stack, size=1.0)
    ids, mask = texts(14, 5)
    hidden, real = stack.embed(ids), mask.bool()
    for i in range(2):
        (memory,) = prompt(i, "yor-Latn")
        with torch.no_grad():
            ours = stack.block(i, hidden, mask, branches=(memory,))
            expected = slow_block(stack, i, hidden, mask, memory.matrix)

            torch.testing.assert_close(ours[real], expected[real], atol=2e-5, rtol=1e-5)
            assert (ours - stack.block(i, hidden, mask))[real].abs().amax() > 1e-3
        hidden = ours


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_memories_start_as_exactly_the_frozen_model(family, training):
    """From any cut, for any language, the states are those of the backbone to the bit."""
    _, stack = build(family)
    for cut in range(stack.num_layers):
        model = grafted(stack, memories(stack, range(cut, stack.num_layers))).train(training)
        states = states_at(IDS, stack, cut, CPU)
        real = states.mask.bool()
        for language in (*LANGUAGES, "eng-Latn"):
            with torch.no_grad():
                ours = model.run_layers(states, language)
                frozen = model.run_layers(states, language, adapters_enabled=False)
            assert torch.equal(ours.tokens[real], frozen.tokens[real])


@pytest.mark.parametrize("family", FAMILIES)
def test_memories_learn_from_the_first_step_on(family):
    """At zero each matrix of the task and of the text's language has a gradient; other languages have none."""
    _, stack = build(family)
    prompt = memories(stack, range(1, 3))
    model = grafted(stack, prompt).train()

    model(states_at(IDS, stack, 1, CPU), "yor-Latn")[1].pow(3).sum().backward()

    learnt = {
        name for name, one in prompt.named_parameters() if one.grad is not None and bool(one.grad.any(-1).any(-1).all())
    }
    assert learnt == {f"{part}.{layer}" for part in ("task", "language.yor-Latn") for layer in (1, 2)}


def test_the_task_s_memory_and_the_language_s_are_added():
    """A language that was never trained for has the task's alone; other layers have none."""
    _, stack = build("qwen3")
    prompt = memories(stack, range(1, 3), size=1.0)
    task, own = prompt.task["2"], prompt.language["quy-Latn"]["2"]

    assert task.shape == (2, 16, 16)  # heads, and their width by the configuration
    assert torch.equal(prompt(2, "quy-Latn")[0].matrix, (task + own) / 16)
    assert torch.equal(prompt(2, "eng-Latn")[0].matrix, task / 16)
    assert prompt(0, "quy-Latn") is None


def test_either_memory_may_be_left_out():
    """Without both there is nothing."""
    _, stack = build("bert")
    own, shared = memories(stack, task=False, size=1.0), memories(stack, language=False, size=1.0)

    assert torch.equal(own(0, "yor-Latn")[0].matrix, own.language["yor-Latn"]["0"] / 12)
    assert own(0, "eng-Latn") is None
    assert torch.equal(shared(0, "yor-Latn")[0].matrix, shared.task["0"] / 12)
    assert memories(stack, task=False, language=False)(0, "yor-Latn") is None


def test_a_memory_of_ones_sums_what_the_query_makes():
    """``phi(q)`` is ``q + 1`` above zero and ``exp(q)`` below: by hand."""
    query = torch.tensor([[[[2.0, -1.0]]]])
    expected = 3 + math.exp(-1)

    found = Memory(torch.ones(1, 2, 2)).attended(query, None, 1.0)

    torch.testing.assert_close(found, torch.full((1, 1, 1, 2), expected))
