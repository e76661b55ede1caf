"""Matrices that stay in 16 bit: the same numbers and gradients as in float32, in half the memory."""

import pytest
import torch
from torch import nn

from invented import world_recipe, write_world
from lingraft.backbones import backbones
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.narrow import NarrowLinear
from lingraft.backbones.walk import at_layer, states_at
from lingraft.core.records import IDS
from lingraft.results.run_files import read_run
from lingraft.runs import pipeline
from quick_run import QUIET, write_card
from small_training import shaken, small_model
from tiny import random_model, save_checkpoint

TEXTS = [[1, 5, 6, 7, 8, 9, 10, 11, 2], [1, 9, 2], [1, 10, 11, 12, 2]]
CPU = torch.device("cpu")


def stacks(folder, family, dtype):
    """The layers of one checkpoint, its matrices in float32 and as they are stored."""
    save_checkpoint(folder, random_model(family).to(dtype))
    wide, narrow = (load_backbone(str(folder), weights=weights) for weights in ("float32", "stored"))
    assert wide.weights_digest == narrow.weights_digest
    return wide.stack, narrow.stack


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("family", [family for family in backbones.names() if family != "gpt2"])
def test_states_are_the_same_to_the_bit_with_half_the_bytes(family, dtype, tmp_path):
    """In float32 and in mixed precision; all matrices are in 16 bit, but T5's last where it is float16."""
    wide, narrow = stacks(tmp_path, family, dtype)
    linear = {name: one.weight.dtype for name, one in narrow.layers.named_modules() if isinstance(one, nn.Linear)}

    last = torch.float32 if dtype == torch.float16 else dtype
    assert linear == {name: last if name.endswith(".wo") else dtype for name in linear}
    for precision in ("float32", "bfloat16"):
        wide.precision = narrow.precision = precision
        with torch.no_grad():
            found, expected = (
                at_layer(stack, states_at(TEXTS, stack, IDS, CPU), stack.num_layers).tokens for stack in (narrow, wide)
            )
        assert torch.equal(found, expected)
        assert found.dtype == torch.float32


WAYS = {
    "deep and bottleneck": {},
    "gated and lora": {"prompt": {"name": "gated", "length": 2}, "adapter": {"name": "lora", "rank": 2}},
    "scaling": {"prompt": None, "adapter": {"name": "scaling"}},
    "biases": {"prompt": None, "adapter": None, "unfrozen": "bias"},
    "matrices": {"prompt": None, "adapter": None, "unfrozen": "weight"},
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_gradients_are_those_of_wide_matrices(way, tmp_path):
    """Of prompts and adapters beside frozen matrices, and of copies that take the place of biases or matrices."""
    results = []
    for stack in stacks(tmp_path, "bert", torch.bfloat16):
        options = dict(WAYS[way])
        end = options.pop("unfrozen", None)
        names = [name for name, _ in stack.layers.named_parameters(prefix="layers") if end and name.endswith(end)]
        torch.manual_seed(0)
        model = shaken(small_model(stack, unfrozen=[n for n in names if "layers.0" not in n], **options), size=0.2)
        states = states_at(TEXTS, stack, 1, CPU)
        model.eval()
        final, logits = model(states, "yor-Latn")
        (final.pooled().pow(3).sum() + logits.pow(2).sum()).backward()
        results.append({name: p.grad for name, p in model.adaptation.named_parameters() if p.grad is not None})

    assert results[0].keys() == results[1].keys()
    for name, expected in results[0].items():
        torch.testing.assert_close(results[1][name], expected, rtol=1e-5, atol=1e-6)
    assert any(bool(gradient.any()) for gradient in results[0].values())


def test_no_wide_matrix_is_kept_for_the_gradients():
    """The narrow one is; a wide copy would cost what was spared, once a layer."""
    layer = nn.Linear(64, 128).bfloat16().requires_grad_(False)
    layer.bias.data = layer.bias.data.float()
    layer.__class__ = NarrowLinear
    kept = []

    def note(tensor):
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        layer(torch.randn(2, 3, 64, requires_grad=True))

    assert [(tuple(tensor.shape), tensor.dtype) for tensor in kept] == [((128, 64), torch.bfloat16)]


def test_a_run_learns_the_same(tmp_path):
    """Scores and identity are those of a run with wide matrices, which a fresh process loads what was saved with."""
    save_checkpoint(tmp_path / "model", random_model("bert").half())
    write_world(tmp_path)
    backbone = {"checkpoint": str(tmp_path / "model"), "cut": 1, "max_length": 32}
    found = []
    for weights in ("float32", "stored"):
        settings = [
            f"output_dir={tmp_path / weights / 'run'}",
            f"backbone.weights={weights}",
            "train.num_train_epochs=1",
        ]
        recipe = world_recipe(tmp_path, [*settings, "seeds=[1]"], backbone=backbone)
        folder = pipeline.run(recipe, reporter=QUIET, pages=write_card)
        found.append((read_run(folder).scores, (folder / "trials/k0-draw0-seed1/identity.json").read_text()))

    assert found[0] == found[1]
