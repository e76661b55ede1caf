"""Whole runs on the encoder of an mT5, of every kind of task: from files to report, back, and out."""

import pytest
from transformers import MT5ForConditionalGeneration

from all_kinds import KINDS, recipe, write_all_kinds
from invented import SOURCE, TARGET
from invented_kinds import SIZES
from lingraft.backbones.loading import load_backbone
from lingraft.core.files import read_lines, read_object
from lingraft.results.run_files import read_run
from lingraft.serving.loading import load
from quick_run import run
from tiny import random_model, save_checkpoint, seq2seq_tokenizer

PARTS = {
    "classification": ["prompt.name=memory", "adapter.name=bottleneck", "adapter.width=4"],
    "pairs": ["prompt.name=input", "prompt.length=2", "adapter.name=scaling"],
    "span_qa": ["prompt.name=gated", "prompt.length=2", "adapter.name=lora", "adapter.rank=2"],
    "tagging": ["prompt=null", "freezing.name=full"],
    "choice": ["prompt.name=deep", "prompt.init=vocabulary", "freezing.name=frozen_then_lora"],
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A random mT5 with its decoder, as one is published."""
    encoder = random_model("mt5")
    encoder.config.is_encoder_decoder = True
    whole = MT5ForConditionalGeneration(encoder.config)
    whole.load_state_dict(encoder.state_dict(), strict=False)
    return save_checkpoint(tmp_path_factory.mktemp("mt5"), whole, seq2seq_tokenizer())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Files of every kind."""
    return write_all_kinds(tmp_path_factory.mktemp("kinds"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_on_mt5_is_a_run(kind, checkpoint, world, tmp_path):
    """Scores in both languages, a backbone that did not move, adapters that can be disabled, answers when reloaded."""
    folder = run(recipe(kind, world, checkpoint, tmp_path / "run", *PARTS[kind]))

    found = read_run(folder)
    of_run = {(score.language, score.method) for score in found.scores if score.method != "instant"}
    assert of_run == {(language, method) for language in (SOURCE, TARGET) for method in ("frozen-head", "lingraft")}
    assert all(score.n == SIZES["test"] for score in found.scores)
    backbone = found.summary["backbone"]
    assert backbone["weights_digest"] == backbone["digest_after"] == load_backbone(str(checkpoint)).weights_digest
    assert found.summary["verification"]["max_difference"] <= 1e-3
    kept = read_object(folder / "retention.json")["adapters_disabled"]
    assert kept["max_difference"] <= kept["tolerance"]


def test_a_reloaded_mt5_answers_as_its_run_did(checkpoint, world, tmp_path):
    """Each text of the test set, and an empty one, in its place."""
    parts = [*PARTS["classification"], "backbone.cut=1"]
    folder = run(recipe("classification", world, checkpoint, tmp_path / "run", *parts))
    rows = list(read_lines(folder / "predictions" / "k1-draw0-seed1" / f"{TARGET}.jsonl"))

    found = load(folder).predict([*(row["text"] for row in rows), ""], language=TARGET)

    assert [one.value for one in found] == [*(row["value"] for row in rows), ""]
    assert [one.confidence for one in found] == pytest.approx([*(row["confidence"] for row in rows), 0], abs=1e-4)
