"""Texts that are read after fewer layers than all: which, against a slow computation; whole runs; what is refused."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from all_kinds import recipe, write_all_kinds
from invented import SOURCE, TARGET
from lingraft.backbones.loading import load_backbone
from lingraft.core.errors import CheckpointError, ConfigError
from lingraft.core.files import read_lines, read_object
from lingraft.model.checkpoint import read_identity
from lingraft.model.heads.linear import STRENGTHS
from lingraft.recipe.parsing import parse_recipe
from lingraft.runs.checks import gather_checked, resolve_cut
from lingraft.runs.plan import plan
from lingraft.runs.reading_layer import candidates, development_losses
from lingraft.serving.export.writing import export_run
from lingraft.serving.loading import load
from quick_run import quick_compare, run
from tiny import decoder_tokenizer, random_model, save_checkpoint

CPU = torch.device("cpu")
LAYERS = 6
PARTS = ["prompt.name=deep", "prompt.length=2", "adapter.name=lora", "adapter.rank=2"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A random decoder of six layers."""
    model = random_model("llama", num_hidden_layers=LAYERS, speaking=True)
    return save_checkpoint(tmp_path_factory.mktemp("llama"), model, decoder_tokenizer())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Files of every kind."""
    return write_all_kinds(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def done(world, checkpoint, tmp_path_factory):
    """A recipe that leaves the layer to the data, and its finished run."""
    wanted = recipe(
        "classification", world, checkpoint, tmp_path_factory.mktemp("run") / "run", *PARTS, "alignment=[]",
        "backbone.layers=auto",
    )  # fmt: skip
    return wanted, run(wanted)


def mean_without_marker(states):
    """The first token is the marker in front."""
    return states[1:].mean(0)


def slow_losses(wanted, layers, pool=mean_without_marker):
    """Log-loss of the best logistic regression on Hugging Face's own states, normed and pooled text by text."""
    materials, tokenizer = gather_checked(wanted), decoder_tokenizer()
    model = random_model("llama", num_hidden_layers=LAYERS, speaking=True).base_model

    def states(examples, layer):
        rows = []
        for example in examples:
            ids = torch.tensor([tokenizer(example.texts[0])["input_ids"]])
            with torch.no_grad():
                last = model(ids, attention_mask=torch.ones_like(ids), output_hidden_states=True).hidden_states[layer]
                normed = last if layer == LAYERS else model.norm(last)  # Hugging Face norms the last itself
            rows.append(pool(normed[0]).numpy())
        return np.stack(rows)

    sets = materials.draws[0].labelled, materials.dev
    gold = [[example.gold for example in examples] for examples in sets]
    found = {}
    for layer in layers:
        learnt, asked = (states(examples, layer) for examples in sets)
        centre = learnt.mean(0)
        scale = np.sqrt(((learnt - centre) ** 2).mean())
        fitted = [
            LogisticRegression(C=strength, max_iter=2000).fit((learnt - centre) / scale, gold[0])
            for strength in STRENGTHS
        ]
        found[layer] = min(
            log_loss(gold[1], one.predict_proba((asked - centre) / scale), labels=one.classes_) for one in fitted
        )
    return found


def answering_alike(folder, checkpoint):
    """A run by its folder, and onto a backbone of all layers, each once it has given the answers that the run gave."""
    rows = list(read_lines(folder / "predictions" / "k1-draw0-seed1" / f"{TARGET}.jsonl"))
    asked = [row["text"] for row in rows]
    for loaded in (load(folder), load(folder, backbone=load_backbone(str(checkpoint)))):
        found = loaded.predict(asked, language=TARGET)
        assert [one.value for one in found] == [row["value"] for row in rows]
        assert [one.confidence for one in found] == pytest.approx([row["confidence"] for row in rows], abs=1e-4)
        yield loaded


def test_candidates_are_half_two_thirds_and_all():
    """Rounded; those above the cut, where a recipe has one."""
    assert candidates(12, "auto") == [6, 8, 12]
    assert candidates(18, "auto") == [9, 12, 18]
    assert candidates(1, "auto") == [1]
    assert candidates(12, 6) == [8, 12]
    with pytest.raises(ConfigError, match="cut: 12 leaves nothing to train above it"):
        candidates(12, 12)


def test_losses_are_those_of_a_slow_computation(done, checkpoint):
    """Hugging Face's hidden states of each text alone, scikit-learn's regressions, the best of all strengths."""
    wanted, _ = done
    backbone, materials = load_backbone(str(checkpoint)), gather_checked(wanted)
    encode = materials.task.kind.encode
    features = {
        (SOURCE, "learn"): encode(materials.learn(SOURCE), backbone.tokenizer, 24, ""),
        (SOURCE, "dev"): encode(materials.dev, backbone.tokenizer, 24, ""),
    }

    found = development_losses(materials, features, backbone, [3, 4, 6], CPU, max_bytes=10**9)

    assert found == pytest.approx(slow_losses(wanted, [3, 4, 6]), abs=1e-3)
    assert len(set(found.values())) == 3
    torch.nn.init.zeros_(backbone.stack.words.weight)  # what texts are pooled to is kept, and not computed again
    assert development_losses(materials, features, backbone, [3, 4, 6], CPU, max_bytes=10**9) == found


def test_a_run_reads_after_the_layer_that_is_best(done):
    """Cut, parts and summary are those of so many layers; the data card has the losses."""
    wanted, folder = done
    losses = slow_losses(wanted, [3, 4, 6])
    best = min(losses, key=lambda layer: losses[layer])

    summary = read_object(folder / "summary.json")["backbone"]
    assert (summary["layers"], summary["cut"]) == (best, best // 2)
    assert summary["weights_digest"] == summary["digest_after"]
    (note,) = [note for note in read_object(folder / "data.json")["notes"] if "are read after" in note]
    assert note.startswith(f"texts are read after layer {best} of 6: ")
    assert all(f"{loss:.3f} after layer {layer}" in note for layer, loss in losses.items())


def test_a_run_of_fewer_layers_is_loaded_and_answers_the_same(world, checkpoint, tmp_path):
    """By folder, and onto a backbone of all layers; it was verified in a process of its own."""
    wanted = recipe(
        "classification", world, checkpoint, tmp_path / "run", *PARTS, "alignment=[{name: mse}]", "backbone.layers=4"
    )
    folder = run(wanted)
    for loaded in answering_alike(folder, checkpoint):
        assert loaded.backbone.stack.num_layers == 4
    assert read_identity(folder / "adaptation.safetensors").layers == 4
    assert read_object(folder / "summary.json")["verification"]["max_difference"] <= 1e-3
    assert not (folder / "peft_lora").exists()
    with pytest.raises(CheckpointError, match=r"reads texts after layer 4 \(backbone\.layers\), and PEFT"):
        export_run(folder, "peft", tmp_path / "out")


def test_a_comparison_reads_all_methods_after_the_same_layer(world, checkpoint, tmp_path):
    """PEFT's networks as well; what is said in words needs all layers, and is left out with its reason."""
    methods = "[frozen-head, label-words, peft-lora, lingraft]"
    wanted = recipe(
        "classification", world, checkpoint, tmp_path / "out", *PARTS, "alignment=[]", "backbone.layers=2",
        f"compare.methods={methods}",
        "compare.label_words.template='{text} ula {label}'",
    )  # fmt: skip

    quick_compare(wanted)

    scored = {row["method"] for row in read_lines(tmp_path / "out" / "scores.jsonl")}
    assert scored == {"frozen-head", "peft-lora", "lingraft"}
    told = read_object(tmp_path / "out" / "label-words" / "method.json")["impossible"]
    assert "backbone.layers leaves it out" in told


@pytest.mark.parametrize(
    ("kind", "layers", "problem"),
    [
        ("classification", 7, "backbone.layers: 7 is more than the checkpoint has, which is 6"),
        ("classification", 0, "backbone.layers: layers are counted from 1"),
        ("tagging", "auto", "backbone.layers: auto chooses by classes of whole texts"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(world, checkpoint, tmp_path, kind, layers, problem):
    """More layers than there are, none, or a choice without classes."""
    with pytest.raises(ConfigError, match=problem):
        run(recipe(kind, world, checkpoint, tmp_path / "run", *PARTS, "alignment=[]", f"backbone.layers={layers}"))


def test_answers_in_words_need_all_layers(world, checkpoint, tmp_path):
    """A decoder speaks by its last layer."""
    values = {
        "task": {
            "name": "span_qa",
            "source_language": SOURCE,
            "target_languages": [TARGET],
            "files": {split: f"{{language}}.{split}.json" for split in ("train", "dev", "test")},
            "data_dir": str(world / "span_qa"),
            "answer_by": "generation",
        },
        "backbone": {"checkpoint": str(checkpoint), "layers": 4},
        "output_dir": str(tmp_path / "run"),
    }
    with pytest.raises(ConfigError, match=r"backbone\.layers: .* is answered in words"):
        gather_checked(parse_recipe(values))


def test_the_cut_is_of_the_layers_that_are_left(world, checkpoint, tmp_path):
    """Half of them, or below the last of them."""
    wanted = recipe("classification", world, checkpoint, tmp_path, *PARTS, "alignment=[]", "backbone.layers=4")
    assert resolve_cut(wanted, LAYERS) == 2
    higher = recipe(
        "classification", world, checkpoint, tmp_path, *PARTS, "alignment=[]", "backbone.layers=4", "backbone.cut=4"
    )
    with pytest.raises(ConfigError, match="cut: 4 leaves nothing to train above it; there are 4 layers"):
        resolve_cut(higher, LAYERS)


def test_a_run_that_reads_the_last_token_is_loaded_and_answers_the_same(world, checkpoint, tmp_path):
    """By folder, and onto a backbone that averages; its layer is that of a slow computation on last tokens."""
    wanted = recipe(
        "classification", world, checkpoint, tmp_path / "run", *PARTS, "alignment=[]", "backbone.layers=auto",
        "backbone.pooling=last",
    )  # fmt: skip
    folder = run(wanted)
    for loaded in answering_alike(folder, checkpoint):
        assert loaded.backbone.stack.pooling.last
    assert read_identity(folder / "adaptation.safetensors").pooling == "last"
    losses = slow_losses(wanted, [3, 4, 6], lambda states: states[-1])
    (note,) = [note for note in read_object(folder / "data.json")["notes"] if "are read after" in note]
    assert all(f"{loss:.3f} after layer {layer}" in note for layer, loss in losses.items())


@pytest.mark.parametrize("kind", ["tagging", "span_qa"])
def test_the_last_token_is_refused_where_each_token_is_read(kind, world, checkpoint, tmp_path):
    """Before anything is computed."""
    with pytest.raises(ConfigError, match=r"backbone\.pooling: .* reads no text as a whole; leave it out"):
        run(recipe(kind, world, checkpoint, tmp_path / "run", *PARTS, "alignment=[]", "backbone.pooling=last"))


def test_check_refuses_the_last_token_of_an_encoder_and_says_where_a_decoder_reads(world, checkpoint, tmp_path):
    """By its family."""
    encoder = save_checkpoint(tmp_path / "encoder", random_model("bert"))
    of_encoder, of_decoder = (
        recipe("classification", world, backbone, tmp_path / "run", "alignment=[]", "backbone.pooling=last")
        for backbone in (encoder, checkpoint)
    )
    with pytest.raises(ConfigError, match=r"backbone\.pooling: last is for decoders, .* \(bert\)"):
        plan(of_encoder)
    assert "texts are read off their last token" in " ".join(plan(of_decoder).lines)
