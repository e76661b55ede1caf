"""Matrices of 8 and 4 bit: what they stand for is computed with, forward, backward and with LoRA merged in."""

import math
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from invented import world_recipe, write_world
from lingraft.backbones import backbones
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.quantised import QuantisedLinear, quantise
from lingraft.backbones.walk import at_layer, states_at
from lingraft.core.errors import CheckpointError, ConfigError
from lingraft.core.records import IDS
from lingraft.results.run_files import read_run
from lingraft.runs import pipeline
from lingraft.runs.plan import plan
from lingraft.runs.summary import frozen_parts, prove_frozen
from lingraft.serving.export.writing import export_run
from lingraft.serving.loading import load
from lingraft.serving.vocabularies.trimming import trim
from quick_run import QUIET, write_card
from small_training import shaken, small_model
from tiny import random_model, save_checkpoint

bitsandbytes = pytest.importorskip("bitsandbytes", reason="matrices of 8 and 4 bit are bitsandbytes'")

TEXTS = [[1, 5, 6, 7, 8, 9, 10, 11, 2], [1, 9, 2], [1, 10, 11, 12, 2]]
CPU = torch.device("cpu")
BITS = ["8bit", "4bit"]


def layer_of(bits, outputs=48, inputs=32, seed=0):
    """A linear layer, and the same one rounded."""
    torch.manual_seed(seed)
    wide = nn.Linear(inputs, outputs).requires_grad_(False)
    rounded = nn.Sequential(nn.Linear(inputs, outputs).requires_grad_(False))
    rounded[0].load_state_dict(wide.state_dict())
    quantise(rounded, bits)
    return wide, rounded[0]


def test_8_bit_is_a_whole_number_and_a_scale_for_each_row():
    """As in LLM.int8: the largest of a row is 127; computed here by hand."""
    wide, rounded = layer_of("8bit")

    half = wide.weight.half().float()
    scale = half.abs().amax(dim=1, keepdim=True) / 127
    expected = (half / scale).round() * scale
    torch.testing.assert_close(rounded.matrix(), expected, atol=1e-6, rtol=1e-3)
    assert rounded.weight.dtype == torch.int8


def test_4_bit_is_the_nearest_of_sixteen_quantiles_times_the_largest_of_its_block():
    """The values that the paper of QLoRA prints (appendix E), two numbers a byte."""
    values = torch.tensor(
        [
            *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635),
            *(-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725),
            *(0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023),
            1.0,
        ]
    )
    wide, rounded = layer_of("4bit")

    blocks = wide.weight.reshape(-1, 64)
    largest = blocks.abs().amax(dim=1, keepdim=True)
    found = rounded.matrix().reshape(-1, 64) / largest
    distances = ((blocks / largest)[..., None] - values).abs()
    assert ((found[..., None] - values).abs().amin(dim=-1) < 1e-6).all()
    # Half-way between two values bitsandbytes' edges are rounded themselves.
    torch.testing.assert_close((found - blocks / largest).abs(), distances.amin(dim=-1), atol=2e-4, rtol=0)
    assert rounded.weight.numel() == 48 * 32 // 2


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("mixed", [False, True], ids=["float32", "bfloat16"])
def test_product_and_gradient_are_those_of_the_matrix_that_the_codes_stand_for(bits, mixed):
    """Of the input and of nothing else; in mixed precision as ``F.linear`` does it there."""
    _, rounded = layer_of(bits)
    given = torch.randn(2, 5, 32, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        found = rounded(given)
        expected = F.linear(given, rounded.matrix(), rounded.bias)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, atol=0, rtol=1e-2 if mixed else 1e-6)
    gradients = [torch.autograd.grad(made.float().pow(2).sum(), given)[0] for made in (found, expected)]
    torch.testing.assert_close(gradients[0], gradients[1], atol=0.05 if mixed else 1e-5, rtol=2e-2 if mixed else 1e-5)


@pytest.mark.parametrize("bits", BITS)
def test_codes_alone_are_kept_for_the_gradients(bits):
    """A wide matrix would cost what was spared, once a layer."""
    _, rounded = layer_of(bits)
    kept = []

    def note(tensor):
        kept.append(tensor.dtype)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        rounded(torch.randn(2, 3, 32, requires_grad=True))

    assert kept == [rounded.weight.dtype, torch.float32]  # codes and scales


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("family", backbones.names())
def test_states_are_those_of_the_matrices_that_the_codes_stand_for(family, bits, tmp_path):
    """Of every family: a stack in float32 with these matrices gives them, and no text's depend on the others."""
    save_checkpoint(tmp_path, random_model(family))
    rounded, wide = load_backbone(str(tmp_path), weights=bits), load_backbone(str(tmp_path))
    matrices = [name for name, one in rounded.stack.layers.named_modules() if isinstance(one, QuantisedLinear)]
    assert matrices
    with torch.no_grad():
        for name in matrices:
            wide.stack.layers.get_submodule(name).weight.copy_(rounded.stack.layers.get_submodule(name).matrix())
        last = rounded.stack.num_layers
        found, expected = (
            at_layer(one.stack, states_at(TEXTS, one.stack, IDS, CPU), last).tokens for one in (rounded, wide)
        )
        alone = at_layer(rounded.stack, states_at(TEXTS[1:2], rounded.stack, IDS, CPU), last).tokens
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(alone[0], found[1, :3], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bits", BITS)
def test_such_a_backbone_is_another_one_and_counts_as_many_parameters(bits, tmp_path):
    """So cached states are never mixed up; codes are proven to stay as they were, too."""
    save_checkpoint(tmp_path, random_model("bert"))
    rounded, wide = load_backbone(str(tmp_path), weights=bits), load_backbone(str(tmp_path))

    assert rounded.weights_digest != wide.weights_digest
    assert load_backbone(str(tmp_path), weights=bits, trusting=True).weights_digest == rounded.weights_digest
    assert frozen_parts(rounded.stack, 1, nn.Module()) == frozen_parts(wide.stack, 1, nn.Module())
    assert prove_frozen(rounded) == rounded.weights_digest


ADAPTERS = [{"name": "lora", "rank": 2}, {"name": "scaling"}, {"name": "bottleneck", "width": 4}]


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda block: block["name"])
def test_merged_and_beside_give_the_same(adapter, bits, tmp_path):
    """Training keeps LoRA beside the codes; prediction merges it into the matrix that they stand for."""
    save_checkpoint(tmp_path, random_model("bert"))
    stack = load_backbone(str(tmp_path), weights=bits).stack
    torch.manual_seed(0)
    model = shaken(small_model(stack, prompt=None, adapter=adapter), size=0.2).eval()
    states = states_at(TEXTS, stack, 1, CPU)
    beside = model(states, "yor-Latn")[1]
    with torch.no_grad():
        merged = model(states, "yor-Latn")[1]

    torch.testing.assert_close(merged, beside.detach(), atol=1e-5, rtol=1e-5)


def recipe_of(tmp_path, bits, *settings):
    """A recipe on a tiny checkpoint with matrices of so many bits."""
    save_checkpoint(tmp_path / "model", random_model("bert"))
    write_world(tmp_path)
    backbone = {"checkpoint": str(tmp_path / "model"), "max_length": 32, "weights": bits}
    return world_recipe(
        tmp_path,
        [f"output_dir={tmp_path / 'run'}", "train.num_train_epochs=1", "seeds=[1]", *settings],
        backbone=backbone,
    )


@pytest.mark.parametrize("bits", BITS)
def test_a_run_answers_afterwards_as_it_did(bits, tmp_path):
    """What was saved knows its bits; a backbone in float32 and other formats are refused in a line."""
    folder = pipeline.run(recipe_of(tmp_path, bits, "adapter.name=lora"), reporter=QUIET, pages=write_card)
    adapted = load(folder)

    assert (adapted.identity.rounded, adapted.backbone.weights) == (bits, bits)
    assert all(math.isfinite(score.value) for score in read_run(folder).scores)
    with pytest.raises(CheckpointError, match="was trained on another backbone"):
        load(folder, backbone=load_backbone(str(tmp_path / "model")))
    with pytest.raises(CheckpointError, match=f"was trained on matrices of {bits[0]} bit"):
        export_run(folder, "peft", tmp_path / "out")
    (tmp_path / "corpus.txt").write_text("ada beli\n")
    with pytest.raises(CheckpointError, match="trim the checkpoint first"):
        trim(str(folder), [tmp_path / "corpus.txt"], tmp_path / "small")


@pytest.mark.parametrize("freezing", ["full", "top_layers", "gradual"])
def test_matrices_that_are_to_learn_are_refused_where_they_are_rounded(freezing, tmp_path):
    """In a line, and before anything is written."""
    recipe = recipe_of(tmp_path, "4bit", f"freezing.name={freezing}", "prompt=null", "adapter=null")
    with pytest.raises(ConfigError, match=rf"freezing.name: {freezing} trains matrices, and backbone.weights: 4bit"):
        pipeline.run(recipe, reporter=QUIET, pages=write_card)


def test_check_says_that_bitsandbytes_is_missing(tmp_path, monkeypatch):
    """With what to install, and before a checkpoint is read."""
    recipe = recipe_of(tmp_path, "8bit")
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ConfigError, match=r"8bit and 4bit need bitsandbytes: pip install 'lingraft\[quantised\]'"):
        plan(recipe)


def test_a_matrix_that_is_not_finite_is_refused():
    """It has no largest value to round by."""
    broken = nn.Sequential(nn.Linear(8, 8))
    with torch.no_grad():
        broken[0].weight[2, 3] = float("nan")
    with pytest.raises(CheckpointError, match=r"layers\.0\.weight has values that are not finite"):
        quantise(broken, "4bit")
