"""Runs whose layers are tuned and kept as LoRA."""

import peft
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel

from invented import TARGET, world_recipe, write_world
from lingraft.backbones.walk import states_at
from lingraft.core.errors import ConfigError
from lingraft.core.files import read_lines, read_object
from lingraft.core.progress import Reporter
from lingraft.results.pages.training_sections import network
from lingraft.results.run_files import read_run
from lingraft.runs.checks import resolve_cut
from lingraft.runs.plan import plan
from lingraft.serving.loading import load
from quick_run import Stopping, differing, run

SMALL = ["train.num_train_epochs=2", "train.batch_size=8", "train.backbone_learning_rate=1e-2", "seeds=[1]"]
TRIAL = "k0-draw0-seed1"
MATRICES = 3 * (4 * 24 * 24 + 2 * 24 * 32)
HEAD = 3 * 24 + 3


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"), train=12, dev=6, test=6, pairs=10)


def recipe(world, checkpoint, folder, *overrides):
    """A small recipe; ``rank: 24`` would be all there is."""
    given = [*SMALL, "prompt=null", "adapter=null", "freezing={name: extract, rank: 2}", f"output_dir={folder}"]
    return world_recipe(
        world,
        [*given, "device=cpu", *overrides],
        backbone={"checkpoint": str(checkpoint), "max_length": 32},
        parallel={"files": str(world / "pairs.{language}.tsv")},
    )


@pytest.fixture(scope="module")
def finished(world, tiny_checkpoint, tmp_path_factory):
    """A run of rank 2, and what it said."""
    said, reporter = [], Reporter(quiet=True, clock=lambda: 0.0)
    reporter.say = said.append
    folder = run(recipe(world, tiny_checkpoint, tmp_path_factory.mktemp("runs") / "whole"), reporter=reporter)
    return folder, said


def test_all_matrices_learn_and_low_rank_is_kept(finished, world, tiny_checkpoint, tmp_path):
    """What learnt is counted before, what is kept in the file; the report has both numbers, the run says a share."""
    folder, said = finished
    lora = 2 * 3 * (4 * (24 + 24) + 2 * (24 + 32))
    tensors = load_file(folder / "adaptation.safetensors")
    assert {name.split(".")[0] for name in tensors} == {"head", "adapter", "ensembles"}
    assert sum(tensor.numel() for name, tensor in tensors.items() if name.startswith("adapter.task.")) == lora
    parts = read_object(folder / "summary.json")["parameters"]
    fitted = sum(part["count"] for part in parts if part["part"] == f"language:{TARGET}")
    assert {part["name"]: part["count"] for part in parts if part["part"] != f"language:{TARGET}"} == {
        "head": HEAD,
        "adapter.task": lora,
    }
    assert read_object(folder / "trials" / TRIAL / "trial.json")["trained"] == MATRICES + HEAD + fitted
    (work,) = plan(recipe(world, tiny_checkpoint, tmp_path / "other")).work.trials
    assert work.trained == MATRICES + HEAD
    rows = list(read_lines(folder / "training.jsonl"))
    assert [row["trained"] for row in rows] == [["head", "matrices of layers 1-3"]] * 2
    assert "parameters were trained and" in network(read_run(folder))["title"]
    (sentence,) = (sentence for sentence in said if "LoRA of rank 2 keeps" in sentence)
    assert 0 < int(sentence.split("keeps ")[1].split("%")[0]) < 100


def test_peft_computes_the_same_states(finished, tiny_checkpoint):
    """The exported folder holds all that changed in the backbone."""
    folder, _ = finished
    adapted = load(folder)
    base = AutoModel.from_pretrained(tiny_checkpoint, add_pooling_layer=False)
    theirs = peft.PeftModel.from_pretrained(base, str(folder / "peft_lora")).eval()
    ids = [1, 5, 6, 7, 8, 2]
    states = states_at([ids], adapted.backbone.stack, adapted.identity.cut, torch.device("cpu"))
    with torch.no_grad():
        found = adapted.model(states, TARGET)[0].tokens
        torch.testing.assert_close(found, theirs(torch.tensor([ids])).last_hidden_state, rtol=1e-4, atol=1e-5)
        frozen = adapted.model.run_layers(states, TARGET, adapters_enabled=False).tokens
    assert (found - frozen).abs().max() > 1e-2


def test_the_head_is_fitted_to_what_is_kept(world, tiny_checkpoint, tmp_path):
    """One training, two ranks: without last-layer retraining one head, with it each rank has its own."""
    heads = {
        (rank, strength): load_file(
            run(
                recipe(
                    world,
                    tiny_checkpoint,
                    tmp_path / f"{rank}-{strength}",
                    f"freezing.rank={rank}",
                    f"train.last_layer_strength={strength}",
                )
            )
            / "adaptation.safetensors"
        )["head.weight"]
        for rank in (1, 24)
        for strength in ("null", "0.1")
    }
    assert torch.equal(heads[1, "null"], heads[24, "null"])
    assert not torch.allclose(heads[1, "0.1"], heads[24, "0.1"], atol=1e-4)


def test_a_killed_run_ends_on_the_same_bits(finished, world, tiny_checkpoint, tmp_path):
    """Stopped in the second epoch: the copies that learn are in the saved state, and come back."""
    whole, _ = finished
    wanted = recipe(world, tiny_checkpoint, tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        run(wanted, reporter=Stopping(4, of=("training",)), save_every=-1.0)
    assert differing(run(wanted), whole) == []


def test_there_is_no_second_adapter(world, tiny_checkpoint, tmp_path):
    """Refused with what to set; without epochs there is nothing to extract, and nothing is."""
    with pytest.raises(ConfigError) as caught:
        resolve_cut(recipe(world, tiny_checkpoint, tmp_path, "adapter={name: bottleneck}"), 3)
    assert caught.value.problems == [
        "adapter: freezing extract makes an adapter of what the layers have learnt, and there can be one; set "
        "adapter: null, not bottleneck"
    ]
    folder = run(recipe(world, tiny_checkpoint, tmp_path / "none", "train.num_train_epochs=0"))
    assert not [name for name in load_file(folder / "adaptation.safetensors") if name.startswith("adapter.")]
