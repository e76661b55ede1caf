"""How well a decoder says each language, before a run and with its parts in place."""

import math

import pytest
import torch
from transformers import AutoModelForCausalLM

from invented import SOURCE, TARGET, world_recipe, write_world
from lingraft.backbones.loading import load_backbone
from lingraft.core.files import read_object
from lingraft.results.pages import write_pages
from lingraft.runs.retention import retention
from lingraft.serving.loading import load
from quick_run import run
from tiny import decoder_tokenizer, random_model, save_checkpoint
from trained_run import PARTS, SMALL, trained_run


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module", params=[("llama", True), ("bloom", True), ("gemma3_text", False)])
def checkpoint(request, tmp_path_factory):
    """A tiny decoder that speaks, by its word embeddings or by a matrix of its own."""
    family, tied = request.param
    model = random_model(family, speaking=True, tie_word_embeddings=tied)
    return save_checkpoint(tmp_path_factory.mktemp("decoder") / "model", model, decoder_tokenizer())


def test_bits_are_the_loss_of_hugging_face(world, checkpoint, tmp_path):
    """Before the run text by text; after it those of the adapted states, one text at a time, from the words up."""
    trained = trained_run(world, load_backbone(str(checkpoint)), tmp_path, *PARTS)
    found = retention(*trained.given)["bits_per_token"]
    theirs = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    path = trained.folder / "trials" / retention(*trained.given)["trial"] / "adaptation.safetensors"
    model = load(path, backbone=trained.backbone).model.eval()

    assert {code: row["sentences"] for code, row in found.items()} == {SOURCE: "dev", TARGET: "test"}
    for code, row in found.items():
        encoded = trained.pools[code, row["sentences"]]
        examples = trained.materials.dev if code == SOURCE else trained.materials.test[code]
        before = after = tokens = 0
        for example in examples:
            ids = torch.tensor([encoded.features[encoded.row[example.id]].input_ids])
            tokens += ids.shape[1] - 1
            with torch.no_grad():
                before += theirs(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
                final = model.run_layers(encoded.table.batch([encoded.row[example.id]]), code)
                logits = model.stack.speak(final.tokens[:, : ids.shape[1] - 1])
                after += torch.nn.functional.cross_entropy(logits[0], ids[0, 1:], reduction="sum").item()
        assert (row["n"], row["tokens"]) == (len(examples), tokens)
        assert row["before"]["value"] == pytest.approx(before / tokens / math.log(2), rel=1e-4)
        assert row["after"]["value"] == pytest.approx(after / tokens / math.log(2), rel=1e-4)
        assert row["difference"]["value"] == pytest.approx(row["after"]["value"] - row["before"]["value"])
        assert abs(row["difference"]["value"]) > 1e-3
        for what in ("before", "after", "difference"):
            assert row[what]["low"] < row[what]["value"] < row[what]["high"]


def test_a_head_alone_and_an_encoder_are_not_asked(world, checkpoint, tiny_backbone, tmp_path):
    """Neither has words that a run could have changed."""
    alone = trained_run(
        world, load_backbone(str(checkpoint)), tmp_path / "a", "alignment=[]", prompt=None, adapter=None
    )
    encoder = trained_run(world, tiny_backbone, tmp_path / "b", *PARTS)
    assert "bits_per_token" not in retention(*alone.given) | retention(*encoder.given)


def test_the_report_shows_them(world, checkpoint, tmp_path, monkeypatch):
    """A row for each language, beside what else is kept."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))
    backbone = {"checkpoint": str(checkpoint), "max_length": 32}
    given = [*SMALL, f"output_dir={tmp_path / 'run'}"]
    folder = run(world_recipe(world, given, backbone=backbone, parallel={"from": "task"}), pages=write_pages)
    row = read_object(folder / "retention.json")["bits_per_token"][TARGET]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<td>Bits per token</td>") == 2
    assert f'<td>Bits per token</td><td>Yoruba</td><td class="number"><b>{row["before"]["value"]:.3g}' in page
