"""On a CUDA device: the numbers of the processor, one run, and what gradient checkpointing saves."""

import copy

import pytest
import torch
from safetensors.torch import load_file

from invented import world_recipe, write_world
from lingraft.backbones import backbones
from lingraft.backbones.walk import encode_batch, states_at
from lingraft.core.files import read_lines
from quick_run import run
from small_training import TARGET, small_model
from tiny import random_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here"),
]

TEXTS = [[1, 5, 6, 7, 8, 9, 10, 11, 2], [1, 9, 2], [1, 10, 11, 12, 2]]


@pytest.mark.parametrize("family", backbones.names())
def test_states_are_those_of_the_processor(family):
    """At the cut and after the last layer, in float32, for every family."""
    stack = backbones.build(family)(random_model(family))
    states, pooled = encode_batch(TEXTS, stack, 1, torch.device("cpu"))
    device = torch.device("cuda")
    there, pooled_there = encode_batch(TEXTS, copy.deepcopy(stack).to(device), 1, device)
    real = states.mask.bool()
    torch.testing.assert_close(there.tokens.cpu()[real], states.tokens[real], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(pooled_there.cpu(), pooled, rtol=1e-4, atol=1e-4)


def test_a_run_learns_what_it_learns_on_the_processor(tiny_checkpoint, tmp_path, monkeypatch):
    """With alignment and without dropout, which draws other numbers there."""
    world, found = write_world(tmp_path), []
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / f"cache-{device}"))
        wanted = world_recipe(
            world,
            ["train.num_train_epochs=3", "seeds=[1]", f"device={device}", f"output_dir={tmp_path / device}"],
            backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32, "cut": 1, "precision": "float32"},
            parallel={"files": str(world / "pairs.{language}.tsv")},
            prompt={"name": "deep", "length": 2, "language_length": 1},
            adapter={"name": "bottleneck", "width": 4, "language_width": 4, "dropout": 0.0},
        )
        folder = run(wanted)
        scores = [
            (row["method"], row["language"], row["metric"], row["value"]) for row in read_lines(folder / "scores.jsonl")
        ]
        tensors = load_file(folder / "trials" / "k0-draw0-seed1" / "adaptation.safetensors")
        found.append((scores, {name: value for name, value in tensors.items() if not name.startswith("ensembles.")}))
    (expected, learnt), (scores, there) = found
    assert scores == expected
    for name, tensor in learnt.items():
        torch.testing.assert_close(there[name], tensor, rtol=2e-2, atol=1e-3, msg=name)


def test_gradient_checkpointing_needs_less_memory(tiny_backbone):
    """Of each block its input is kept, and nothing else."""
    device, peaks = torch.device("cuda"), []
    for checkpointing in (False, True):
        stack = copy.deepcopy(tiny_backbone.stack).to(device)
        model = small_model(stack, cut=0).to(device).train()
        model.checkpointing = checkpointing
        states = states_at([[1, *range(5, 29), 2]] * 256, stack, 0, device)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        model(states, TARGET)[1].sum().backward()
        peaks.append(torch.cuda.max_memory_allocated() - before)
    assert peaks[1] < 0.8 * peaks[0]
