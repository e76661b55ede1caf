"""A backbone of the first layers is what Hugging Face's model gives there, and nothing happens to the whole one."""

import pytest
import torch

from lingraft.backbones import backbones
from lingraft.backbones.depth import first_layers, pooled_after, shortened
from lingraft.backbones.digests import weights_digest
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.walk import frozen_pooled, states_at
from lingraft.core.records import Pooling
from stacks import build, run_stack, texts
from tiny import random_model, save_checkpoint

CPU = torch.device("cpu")
FAMILIES = backbones.names()
NORMS = ("norm", "final_norm", "ln_f", "layer_norm", "final_layer_norm")
"""What Hugging Face's models call the norm behind their last block."""


def states_of(family, layers):
    """Hugging Face's states of two texts after so many blocks, with the model's final norm where it has one."""
    model, _ = build(family)
    ids, mask = texts(9, 5)
    with torch.no_grad():
        states = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[layers]
        inner = model.encoder if family in ("t5", "mt5", "umt5") else model
        norm = next((getattr(inner, name) for name in NORMS if hasattr(inner, name)), torch.nn.Identity())
        return norm(states)


@pytest.mark.parametrize("family", FAMILIES)
def test_states_are_hugging_face_s_after_so_many_blocks(family):
    """Of every family, through its own final norm; the whole stack stays as it is."""
    _, stack = build(family)
    ids, mask = texts(9, 5)

    short = first_layers(stack, 2)
    found = run_stack(short, short.embed(ids), mask)

    real = mask.bool()
    torch.testing.assert_close(found[real], states_of(family, 2)[real], atol=1e-5, rtol=0)
    assert (short.num_layers, len(short.layers)) == (2, 2)
    assert (stack.num_layers, len(stack.layers)) == (3, 3)
    assert first_layers(stack, 3) is stack
    with pytest.raises(ValueError, match="expected 1 to 3 layers, got 4"):
        first_layers(stack, 4)


@pytest.mark.parametrize("family", ["bert", "gemma3_text"])
def test_texts_are_pooled_after_each_layer_as_if_it_were_the_last(family):
    """What a stack of so many layers pools, for texts of several lengths, in their order."""
    _, stack = build(family)
    stack.pooling = Pooling(opening=1)
    ids = [[5, 9, 30, 17], [19, 6, 25, 8, 22, 6, 31, 12, 29], [11]]

    found = pooled_after(ids, stack, [1, 2, 3], CPU)

    for layer, pooled in found.items():
        short = first_layers(stack, layer)
        torch.testing.assert_close(pooled, frozen_pooled(short, states_at(ids, short, 0, CPU)), atol=1e-5, rtol=0)
    assert not torch.allclose(found[1], found[3])


def test_a_shorter_backbone_has_a_digest_of_its_own(tmp_path):
    """That of what is left, so nothing of the whole one's is taken for its own; and it knows the whole one's."""
    backbone = load_backbone(str(save_checkpoint(tmp_path, random_model("bert"))))

    short = shortened(backbone, 2)

    assert short.weights_digest == weights_digest(short.stack) != backbone.weights_digest
    assert short.checkpoint_digest == backbone.weights_digest
    again = shortened(short, 1)
    assert (again.stack.num_layers, again.checkpoint_digest) == (1, backbone.weights_digest)
    assert shortened(backbone, 3) is backbone
