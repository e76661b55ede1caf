"""A training in two legs: cached states first, then LoRA in all layers, read from token ids."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from invented import TARGET, world_recipe, write_world
from lingraft.backbones.digests import weights_digest
from lingraft.core.errors import CheckpointError, ConfigError
from lingraft.core.files import read_lines, read_object
from lingraft.core.records import IDS
from lingraft.model.checkpoint import load_adaptation
from lingraft.model.network import GraftedModel
from lingraft.model.prediction import adapted_states, predict_rows
from lingraft.recipe.settings import Recipe
from lingraft.runs.checks import resolve_cut
from lingraft.runs.plan import plan
from lingraft.serving.loading import load
from lingraft.training.legs import RATES, legs_of
from quick_run import Stopping, differing, run
from trained_run import PARTS, trained_run

THAW = "freezing={name: frozen_then_lora, share: 0.4, rank: 3}"
SMALL = ["train.batch_size=8", "train.learning_rate=1e-2", "seeds=[1]", "device=cpu", *PARTS]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"), train=12, dev=6, test=6, pairs=10)


def recipe(world, *overrides, **changes) -> Recipe:
    """A small recipe with three epochs on cached states and two in the whole depth."""
    changes = {"parallel": {"files": str(world / "pairs.{language}.tsv")}} | changes
    return world_recipe(world, [*SMALL, "train.num_train_epochs=5", THAW, *overrides], **changes)


# ---- Which legs there are --------------------------------------------------------------------------


def test_the_last_share_of_the_epochs_is_a_leg_of_its_own(world):
    """With its own number of epochs, rates and LoRA; all other settings are the recipe's."""
    wanted = recipe(world, "freezing.learning_rate_factor=0.5")
    first, second = legs_of(wanted)
    assert (first.settings.num_train_epochs, second.settings.num_train_epochs) == (3, 2)
    assert first.lora is None
    assert second.lora.model_dump() == {"name": "lora", "rank": 3, "alpha": 6.0}
    changed = dict.fromkeys(["num_train_epochs", *RATES])
    for leg, factor in ((first, 1.0), (second, 0.5)):
        assert leg.settings.model_copy(update=changed) == wanted.train.model_copy(update=changed)
        assert [getattr(leg.settings, name) for name in RATES] == [
            factor * getattr(wanted.train, name) for name in RATES
        ]


@pytest.mark.parametrize("overrides", [["freezing={name: frozen}"], ["freezing={name: full}"]])
def test_other_trainings_are_one_leg(world, overrides):
    """The recipe's settings and the trial's seed, whatever it freezes; none where nothing is trained by gradient."""
    wanted = recipe(world, *overrides)
    (leg,) = legs_of(wanted)
    assert (leg.settings, leg.lora, leg.seed(7)) == (wanted.train, None, 7)
    assert legs_of(recipe(world, "train.num_train_epochs=0")) == ()


@given(st.integers(1, 30), st.sampled_from([0.1, 0.25, 0.5, 0.9]))
def test_early_examples_are_in_the_first_half_of_all_epochs_whatever_the_legs(tmp_path_factory, epochs, share):
    """None comes back in a later leg."""
    thaw = f"freezing={{name: frozen_then_lora, share: {share}, rank: 3}}"
    legs = legs_of(recipe(tmp_path_factory.getbasetemp(), f"train.num_train_epochs={epochs}", thaw))
    early = [epoch < leg.early_epochs for leg in legs for epoch in range(leg.settings.num_train_epochs)]
    assert early == [2 * epoch < epochs for epoch in range(epochs)]


@given(st.lists(st.integers(0, 2**32 - 1), unique=True, min_size=2, max_size=5))
def test_legs_and_seeds_do_not_share_their_orders(tmp_path_factory, seeds):
    """Each seed has another order in each leg."""
    legs = legs_of(recipe(tmp_path_factory.getbasetemp()))
    orders = [leg.seed(seed) for leg in legs for seed in seeds]
    assert len(set(orders)) == len(orders)


def test_one_epoch_is_too_few(world):
    """There would be nothing to cache, or no whole depth: told before anything is read."""
    with pytest.raises(ConfigError) as caught:
        resolve_cut(recipe(world, "train.num_train_epochs=1"), 3)
    assert caught.value.problems == ["train.num_train_epochs: freezing frozen_then_lora needs two at least"]


@pytest.mark.parametrize("adapter", ["lora", "scaling"])
def test_an_adapter_that_replaces_weights_is_refused_before_training(world, tiny_checkpoint, tmp_path, adapter):
    """Two answers to what a weight is would be one too many."""
    wanted = recipe(
        world,
        f"adapter={{name: {adapter}}}",
        f"output_dir={tmp_path / 'run'}",
        backbone={"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 32},
    )
    with pytest.raises(ConfigError, match=rf"adapter: {adapter} and freezing would both change layers\.1\."):
        run(wanted)


# ---- What they do ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(world, tiny_backbone, tmp_path_factory):
    """A run whose last two of five epochs adapt all layers."""
    folder = tmp_path_factory.mktemp("trained")
    return trained_run(world, tiny_backbone, folder, *SMALL, "train.num_train_epochs=5", THAW)


def adaptation_of(trained):
    """What the trial left."""
    return load_adaptation(trained.folder / "trials" / "k0-draw0-seed1" / "adaptation.safetensors", trained.backbone)


def test_lora_reaches_below_the_cut_and_the_parts_do_not(trained):
    """Prompt and adapter begin at the cut; the LoRA has pairs of its rank in every linear layer, all of which moved."""
    adaptation, identity = adaptation_of(trained)
    assert (identity.cut, identity.begins) == (1, IDS)
    assert set(adaptation.prompt.task) == set(adaptation.adapter.task) == {"1", "2"}
    pairs = adaptation.lora.matrices()
    assert {layer for layer, _ in pairs} == {0, 1, 2}
    assert len(pairs) == 3 * 6
    assert all(len(pair.A) == 3 and bool(pair.B.any()) for pair in pairs.values())


def test_the_record_goes_on_from_leg_to_leg(trained):
    """Epochs and steps are counted through; each says what learnt, and the rates begin anew, lower."""
    rows = list(read_lines(trained.folder / "trials" / "k0-draw0-seed1" / "training.jsonl"))
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["step"] for row in rows] == [rows[0]["step"] * n for n in (1, 2, 3, 4, 5)]
    parts = ["head", "prompt", "adapter"]
    assert [row["trained"] for row in rows] == [parts] * 3 + [[*parts, "LoRA in all layers"]] * 2
    assert rows[3]["learning_rate"] > rows[2]["learning_rate"]
    assert rows[3]["learning_rate"] <= 0.3 * 1e-2


def test_only_the_first_leg_reads_cached_states(world, tiny_backbone, tmp_path, monkeypatch):
    """In training the first block is called in the second leg alone: the first goes from the cut upwards."""
    stack, seen = tiny_backbone.stack, []
    block = type(stack).block

    def watched(self, layer, *given, **named):
        seen.append((layer, torch.is_grad_enabled(), lora_is_there()))
        return block(self, layer, *given, **named)

    networks = []
    train = GraftedModel.train

    def noted(model, mode=True):
        networks.append(model)
        return train(model, mode)

    def lora_is_there():
        return bool(networks) and networks[-1].adaptation.lora is not None

    monkeypatch.setattr(type(stack), "block", watched)
    monkeypatch.setattr(GraftedModel, "train", noted)
    trained_run(world, tiny_backbone, tmp_path, *ADAPTER_ALONE, "train.num_train_epochs=5", THAW)
    in_training = {(layer, thawed) for layer, gradient, thawed in seen if gradient}
    assert in_training == {(1, False), (2, False), (0, True), (1, True), (2, True)}


ADAPTER_ALONE = [*SMALL, "prompt=null"]


def test_the_backbone_is_the_same_and_comes_back(trained):
    """Its digest has not changed, and with the parts switched off the states are the frozen ones, bit for bit."""
    adaptation, _ = adaptation_of(trained)
    model = GraftedModel(trained.backbone.stack, adaptation).eval()
    encoded = trained.pools[TARGET, "test"]
    ids = [example.id for example in trained.materials.test[TARGET]]
    off, on = (adapted_states(model, encoded, ids, TARGET, adapters_enabled=enabled) for enabled in (False, True))
    assert weights_digest(trained.backbone.stack) == trained.backbone.weights_digest
    torch.testing.assert_close(off, encoded.pooled(ids), rtol=0, atol=1e-5)
    assert (on - off).abs().max() > 1e-2


def test_without_the_lora_it_is_another_network(trained):
    """What is below the cut is used: predictions from cached states at the cut, where it is not, differ."""
    adaptation, _ = adaptation_of(trained)
    model = GraftedModel(trained.backbone.stack, adaptation).eval()
    ids = [example.id for example in trained.materials.test[TARGET]]
    whole = torch.stack(predict_rows(model, trained.pools[TARGET, "test"], ids, TARGET)[0])
    for layer in range(1, 3):
        del adaptation.lora.task[str(layer)]
    below_alone = torch.stack(predict_rows(model, trained.pools[TARGET, "test"], ids, TARGET)[0])
    adaptation.lora = None
    without = torch.stack(predict_rows(model, trained.pools[TARGET, "test"], ids, TARGET)[0])
    assert (whole - below_alone).abs().max() > 1e-4
    assert (below_alone - without).abs().max() > 1e-4


# ---- Whole runs ------------------------------------------------------------------------------------


def whole_run(world, checkpoint, folder, *overrides):
    """A recipe for a whole run."""
    backbone = {"checkpoint": str(checkpoint), "cut": 1, "max_length": 32}
    return recipe(world, f"output_dir={folder}", *overrides, backbone=backbone)


def test_killed_in_and_between_the_legs_a_run_ends_on_the_same_bits(world, tiny_checkpoint, tmp_path):
    """Stopped at every step of a training of two legs, and continued: all files are those of one that never stopped."""
    overrides = ["train.num_train_epochs=2", "shots.k=1", "alignment=[{name: mse}, {name: prediction}]"]
    whole = run(whole_run(world, tiny_checkpoint, tmp_path / "whole", *overrides))
    steps = max(row["step"] for row in read_lines(whole / "training.jsonl"))
    wanted = whole_run(world, tiny_checkpoint, tmp_path / "stopped", *overrides)
    for _ in range(steps - 2):  # the first gets two steps far, each other one
        with pytest.raises(KeyboardInterrupt):
            run(wanted, reporter=Stopping(3, of=("training",)), save_every=-1.0)
    assert differing(run(wanted), whole) == []


def test_a_run_predicts_from_texts_and_says_what_it_did(world, tiny_checkpoint, tmp_path):
    """Its answers to texts are those of its test set; report, card and plan name the LoRA."""
    folder = run(whole_run(world, tiny_checkpoint, tmp_path / "run", "shots.k=1"))
    rows = list(read_lines(folder / "predictions" / "k1-draw0-seed1" / f"{TARGET}.jsonl"))
    answers = load(folder).predict([row["text"] for row in rows], language=TARGET)
    assert [answer.value for answer in answers] == [row["value"] for row in rows]
    assert "until LoRA in all layers joined in the last epochs" in (folder / "README.md").read_text(encoding="utf-8")
    summary = read_object(folder / "summary.json")
    assert summary["verification"]["texts"] > 0
    (lora,) = (part for part in summary["parameters"] if part["name"] == "lora")
    assert lora == {"part": "all layers", "name": "lora", "count": 3 * (4 * 48 + 2 * 56) * 3, "trained": True}
    assert any(part["name"] == "layers 1–1, computed once until the last epochs" for part in summary["frozen"])


def test_a_plan_says_how_long_all_layers_are_computed(world, tiny_checkpoint, tmp_path):
    """Beside what is computed once, which is so for the other epochs."""
    found = plan(whole_run(world, tiny_checkpoint, tmp_path / "run")).lines
    (line,) = (line for line in found if line.startswith("backbone: "))
    assert "freezing: frozen_then_lora; layers 1–1 are computed once" in line
    assert line.endswith("at every step, and all in the last 2 epochs, with LoRA in each")


def test_nothing_goes_on_from_a_network_that_caches_nothing(world, tiny_checkpoint, tmp_path):
    """A training that begins with cached states cannot have what is below them."""
    begun = run(whole_run(world, tiny_checkpoint, tmp_path / "begun", "train.num_train_epochs=2"))
    wanted = whole_run(world, tiny_checkpoint, tmp_path / "more", f"train.continue_from={begun}")
    with pytest.raises(CheckpointError, match="ended with LoRA in all layers"):
        run(wanted)
