"""Generation with what is learnt on the way: token for token as if everything were read again for each."""

import pytest
import torch

from lingraft.backbones.reading import again, generate, read
from lingraft.backbones.walk import at_layer, pad_batch
from lingraft.model.adaptation import build_adaptation
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.recipe.blocks import Block
from small_training import shaken
from stacks import DECODERS, speaking

CPU = torch.device("cpu")
TARGET = "yor-Latn"
TEXTS = [[5, 9, 30, 17, 8, 22, 6, 31, 12, 29, 14, 7], [19, 6, 25], [11]]
PARTS = {
    "deep": {"prompt": {"name": "deep", "length": 3, "language_length": 2}},
    "input": {"prompt": {"name": "input", "length": 3}},
    "gated": {"prompt": {"name": "gated", "length": 3}},
    "memory": {"prompt": {"name": "memory"}},
    "lora": {"adapter": {"name": "lora", "rank": 2}},
    "bottleneck": {"prompt": {"name": "deep", "length": 2}, "adapter": {"name": "bottleneck", "width": 4}},
    "scaling": {"adapter": {"name": "scaling"}},
}


def grafted(stack, *, prompt=None, adapter=None, cut=1, seed=0):
    """A model with the given blocks, its parameters moved away from where they begin."""
    torch.manual_seed(seed)
    adaptation = build_adaptation(
        prompt=Block.model_validate(prompt) if prompt else None,
        adapter=Block.model_validate(adapter) if adapter else None,
        stack=stack,
        cut=cut,
        languages=[TARGET],
        head=LinearClassifier(stack.width, 2),
        initial=lambda how, layer, count: torch.randn(count, stack.width),
    )
    return shaken(GraftedModel(stack, adaptation)).eval()


def say_without_cache(model, text, most):
    """The likeliest tokens after a text, all of which is read again for each of them."""
    said = []
    with torch.no_grad():
        for _ in range(most):
            final = model.run_layers(pad_batch([[*text, *said]], model.stack, CPU), TARGET)
            said.append(int(model.stack.speak(final.tokens[0, len(text) + len(said) - 1]).argmax()))
    return said


def say(model, states, most=20):
    """What a model generates, nothing ending it."""

    def run(states):
        return model.run_layers(states, TARGET)

    with torch.no_grad():
        found = generate(run, model.stack, run(states), most=most, ends=lambda token: False)
    return [list(one.ids) for one in found]


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("family", DECODERS)
def test_generation_is_that_of_reading_all_again_with_all_that_is_learnt(family, parts):
    """Virtual tokens, gates, LoRA and adapters take part, also beyond a window, for texts of several lengths."""
    _, stack = speaking(family)
    model = grafted(stack, **PARTS[parts], cut=0 if parts == "input" else 1)

    found = say(model, read(TEXTS, CPU))

    assert found == [say_without_cache(model, text, 20) for text in TEXTS]
    assert found != say(grafted(stack), read(TEXTS, CPU))


def test_what_lies_below_the_cut_is_read_once_for_all_adaptations():
    """Two of them go on from the same keys, values and states, each as if it had read alone."""
    _, stack = speaking("gemma3_text")
    models = [grafted(stack, **PARTS["deep"], cut=2, seed=seed) for seed in (0, 1)]
    with torch.no_grad():
        below = at_layer(stack, read(TEXTS, CPU), 2)

    found = [say(model, again(below)) for model in models]

    assert found == [say(model, read(TEXTS, CPU)) for model in models]
    assert found[0] != found[1]
