"""Gradient checkpointing: the same numbers and gradients, and less that is kept."""

import pytest
import torch

from lingraft.backbones import backbones
from lingraft.backbones.walk import states_at
from lingraft.core.records import IDS
from small_training import (
    SOURCE,
    TARGET,
    assert_same,
    shaken,
    small_model,
    small_settings,
    small_transfer,
    small_world,
    trained,
)
from tiny import random_model

TEXTS = [[1, 5, 6, 7, 8, 9, 10, 11, 2], [1, 9, 2], [1, 10, 11, 12, 2]]
WAYS = {
    "deep and bottleneck": {},  # with dropout
    "gated and lora": {"prompt": {"name": "gated", "length": 2}, "adapter": {"name": "lora", "rank": 2}},
    "input and scaling": {"prompt": {"name": "input", "length": 2}, "adapter": {"name": "scaling"}, "cut": 0},
    "all unfrozen": {"prompt": None, "adapter": None, "cut": IDS, "unfrozen": True},
}


def network(family, checkpointing, *, unfrozen=False, **options):
    """A model with moved parts, always the same."""
    stack = backbones.build(family)(random_model(family))
    names = [name for name, _ in stack.named_parameters()] if unfrozen else ()
    model = shaken(small_model(stack, unfrozen=names, **options), size=0.2).train()
    model.checkpointing = checkpointing
    return model


def pull(model, cut):
    """Gradients of something that depends on the last states, on those on the way, and on logits; and the bytes kept.

    Of two languages, whose graphs live at once.
    """
    kept = []

    def count(tensor):
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    torch.manual_seed(11)  # of dropout
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss = torch.zeros(())
        for language in (SOURCE, TARGET):
            visited = {}
            _, logits = model(states_at(TEXTS, model.stack, cut, torch.device("cpu")), language, visited)
            loss = loss + logits.pow(2).sum() + sum(states.pooled().pow(3).sum() for states in visited.values())
    bytes_kept = sum(kept)
    loss.backward()
    return {name: p.grad for name, p in model.adaptation.named_parameters() if p.grad is not None}, bytes_kept


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("family", ["bert", "mt5", "llama"])
def test_gradients_are_the_same_to_the_bit_and_less_is_kept(family, way):
    """With prompts, adapters beside and within the weights, dropout, and copies of the backbone's own parameters."""
    options = WAYS[way]
    cut = options.get("cut", 1)
    expected, everything = pull(network(family, False, **options), cut)

    found, kept = pull(network(family, True, **options), cut)

    assert_same(found, expected)
    assert any(bool(gradient.any()) for gradient in found.values())
    assert kept < everything / 2


def test_a_training_ends_with_the_same_parameters(tiny_backbone):
    """Alignment between two languages included."""
    world = small_world(tiny_backbone.stack)
    results = []
    for checkpointing in (False, True):
        model = small_model(tiny_backbone.stack)
        model.checkpointing = checkpointing
        terms = small_transfer(tiny_backbone.stack, world)
        results.append(trained(model, world, terms, settings=small_settings(num_train_epochs=1))[0])

    assert_same(*results)
