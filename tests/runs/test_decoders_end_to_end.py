"""Whole runs on decoders, of every kind of task, with every way to change them: from files to report and back."""

import pytest
import torch

from all_kinds import KINDS, recipe, write_all_kinds
from invented import SOURCE, TARGET
from invented_kinds import SIZES
from lingraft.backbones.encoding import encode
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.walk import frozen_pooled, states_at
from lingraft.core.examples import PairExample, SpanExample
from lingraft.core.files import read_lines, read_object
from lingraft.core.records import IDS, Features
from lingraft.results.run_files import read_run
from lingraft.serving.loading import load
from lingraft.tasks.kinds.span_qa import encode_questions
from lingraft.tasks.kinds.text_rows import encode_texts
from lingraft.training.alignment.word_aligner import token_aligner
from quick_run import quick_compare, run
from tiny import decoder_tokenizer, random_model, save_checkpoint

OPENING = {
    "llama": "<s>",
    "qwen3": "",
    "bloom": "",
}  # the marker in front of a text, as the family's tokenizers have it
PARTS = {
    "llama": ["prompt.name=deep", "prompt.length=2", "adapter.name=bottleneck", "adapter.width=4"],
    "qwen3": ["prompt.name=gated", "prompt.length=2", "adapter.name=lora", "adapter.rank=2"],
    "bloom": ["prompt.name=deep", "prompt.length=2", "prompt.init=vocabulary", "adapter.name=scaling"],
}


@pytest.fixture(scope="module", params=sorted(OPENING))
def decoder(request, tmp_path_factory):
    """A family, and a folder with a random checkpoint of it whose tokenizer names no padding."""
    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = decoder_tokenizer(OPENING[request.param])
    return request.param, save_checkpoint(folder, random_model(request.param), tokenizer)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Files of every kind."""
    return write_all_kinds(tmp_path_factory.mktemp("kinds"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_on_a_decoder_is_a_run(decoder, kind, world, tmp_path):
    """Scores in both languages, a backbone that did not move, adapters that can be disabled, answers when reloaded."""
    family, checkpoint = decoder
    folder = run(recipe(kind, world, checkpoint, tmp_path / "run", *PARTS[family]))

    found = read_run(folder)
    of_run = {(score.language, score.method) for score in found.scores if score.method != "instant"}
    assert of_run == {(language, method) for language in (SOURCE, TARGET) for method in ("frozen-head", "lingraft")}
    assert all(score.n == SIZES["test"] for score in found.scores)
    backbone = found.summary["backbone"]
    assert backbone["weights_digest"] == backbone["digest_after"] == load_backbone(str(checkpoint)).weights_digest
    assert found.summary["verification"]["max_difference"] <= 1e-3
    kept = read_object(folder / "retention.json")["adapters_disabled"]
    assert kept["max_difference"] <= kept["tolerance"]


def test_a_reloaded_decoder_answers_as_its_run_did(decoder, world, tmp_path):
    """Each text of the test set, and an empty one, in its place."""
    family, checkpoint = decoder
    folder = run(recipe("classification", world, checkpoint, tmp_path / "run", *PARTS[family]))
    rows = list(read_lines(folder / "predictions" / "k1-draw0-seed1" / f"{TARGET}.jsonl"))

    found = load(folder).predict([*(row["text"] for row in rows), ""], language=TARGET)

    assert [one.value for one in found] == [*(row["value"] for row in rows), ""]
    assert [one.confidence for one in found] == pytest.approx([*(row["confidence"] for row in rows), 0], abs=1e-4)


FREEZING = {
    "full": ["freezing.name=full", "prompt=null"],
    "top_layers": ["freezing.name=top_layers", "freezing.layers=1", "prompt.name=deep"],
    "biases_and_norms": ["freezing.name=biases_and_norms", "prompt.name=deep"],
    "extract": ["freezing.name=extract", "freezing.rank=2", "prompt=null"],
    "frozen_then_lora": ["freezing.name=frozen_then_lora", "prompt.name=gated"],
    "input prompt": ["prompt.name=input"],
    "memory": ["prompt.name=memory"],
}


@pytest.mark.parametrize("way", sorted(FREEZING))
@pytest.mark.parametrize("decoder", ["bloom"], indirect=True)
def test_what_is_unfrozen_learns_and_reloads(decoder, way, world, tmp_path):
    """Parameters of the backbone, LoRA from the last epochs, a prompt below all layers, or memories."""
    _, checkpoint = decoder
    folder = run(recipe("classification", world, checkpoint, tmp_path / "run", "adapter=null", *FREEZING[way]))

    assert read_run(folder).summary["verification"]["max_difference"] <= 1e-3


@pytest.mark.parametrize("decoder", ["llama"], indirect=True)
def test_other_libraries_are_compared_on_a_decoder(decoder, world, tmp_path):
    """PEFT and Hugging Face's Trainer, to which a tokenizer without padding is nothing that a recipe must mend."""
    _, checkpoint = decoder
    methods = ["frozen-head", "peft-prompt", "peft-prefix", "peft-lora", "hf-trainer"]
    wanted = recipe("classification", world, checkpoint, tmp_path / "run", f"compare.methods=[{','.join(methods)}]")

    quick_compare(wanted)

    done = {row["method"] for row in read_lines(tmp_path / "run" / "scores.jsonl")}
    assert done == set(methods)


def test_two_texts_have_a_line_break_between_them(decoder):
    """Where the tokenizer has no marker for that place, as no decoder's has."""
    family, checkpoint = decoder
    tokenizer = load_backbone(str(checkpoint)).tokenizer
    pair = PairExample("1", "1", SOURCE, text_a="ada beli", text_b="cora")
    asked = SpanExample(id="2", group="2", language=SOURCE, question="ada beli", context="cora", answers=())

    (texts,) = encode_texts([pair], tokenizer, 24, "")
    (window,) = encode_questions([asked], tokenizer, 24, "", stride=4)

    assert texts.input_ids == (*([1] if family == "llama" else []), 5, 6, 4, 7)
    assert window.input_ids == (*texts.input_ids, 4)  # and one more behind the context, where no answer is said


def test_the_first_token_is_no_content(decoder):
    """The vector of a text is the mean of what comes after it, from ids or from any layer; of one token, that one."""
    family, checkpoint = decoder
    backbone = load_backbone(str(checkpoint))
    stack, model = backbone.stack, random_model(family)
    ids = [*backbone.tokenizer(["ada beli cora dune", "fara goma"])["input_ids"], [7]]
    with torch.no_grad():
        last = [model(torch.tensor([text])).last_hidden_state[0] for text in ids]
    expected = torch.stack([last[0][1:].mean(0), last[1][1:].mean(0), last[2][0]])

    for cut in (IDS, 0, 2):
        found = frozen_pooled(stack, states_at(ids, stack, cut, torch.device("cpu")))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_last_token_is_a_word_and_is_aligned(decoder, tmp_path, monkeypatch):
    """A text with itself, token by token, but for the first: no marker closes a decoder's text."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    _, checkpoint = decoder
    backbone = load_backbone(str(checkpoint))
    text = tuple(backbone.tokenizer("ada beli cora dune")["input_ids"])

    (found,) = token_aligner(backbone, torch.device("cpu"))([(text, text)])

    assert found.tolist() == [[i, i] for i in range(1, len(text))]


def test_cached_states_know_what_is_no_content(decoder, tmp_path, monkeypatch):
    """What comes out of the cache is pooled as what is computed afresh."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    _, checkpoint = decoder
    backbone = load_backbone(str(checkpoint))
    ids = [tuple(text) for text in backbone.tokenizer(["ada beli cora dune", "fara"])["input_ids"]]
    features = [Features(str(i), text) for i, text in enumerate(ids)]
    cpu = torch.device("cpu")
    for _ in range(2):  # written, read
        encoded = encode(features, backbone, cut=1, dtype="float32", max_bytes=10**9, device=cpu)

        for table in (encoded.table, encoded.from_ids(0).table):
            found = frozen_pooled(backbone.stack, table.batch([0, 1]))
            torch.testing.assert_close(found, table.pooled_rows([0, 1]), atol=1e-5, rtol=0)
