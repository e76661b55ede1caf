"""Answers in words on encoder-decoders: from files to parts of both halves that were trained, to answers, and back."""

import json
from copy import deepcopy
from dataclasses import replace
from functools import partial

import pytest
import torch
from peft import PeftModel
from transformers.modeling_outputs import BaseModelOutput
from typer.testing import CliRunner

from invented import SOURCE, TARGET, labelled_texts, translated
from invented_kinds import SIZES, write_kinds
from lingraft.backbones.loading import empty_stack, load_backbone
from lingraft.backbones.walk import pad_batch
from lingraft.cli.main import app
from lingraft.core.errors import CheckpointError, ConfigError
from lingraft.core.files import read_lines, read_object
from lingraft.core.progress import Reporter
from lingraft.recipe.parsing import parse_recipe
from lingraft.runs.plan import plan
from lingraft.serving.export.writing import export_run
from lingraft.serving.loading import load
from lingraft.serving.vocabularies.trimming import trim
from quick_run import differing, interrupt, run
from tiny import random_model, save_checkpoint, seq2seq_tokenizer, writing_model

CPU = torch.device("cpu")
TOPICS = {"bird": "wina xilo", "river": "yara", "stone": "zeno bako cire"}
TRIAL = "k0-draw0-seed1"
MOST, END = 6, 2


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Texts with the words for their topic, and questions in SQuAD's JSON, in two languages."""
    folder, texts, first = tmp_path_factory.mktemp("world"), labelled_texts(sum(SIZES.values())), 0
    write_kinds(folder)
    for split, count in SIZES.items():
        for language, say in ((SOURCE, str), (TARGET, translated)):
            rows = [
                {"key": f"{split}{i}", "sentence": say(text), "wanted": TOPICS[label]}
                for i, (text, label) in enumerate(texts[first : first + count])
            ]
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"{language}.{split}.jsonl").write_text(lines, encoding="utf-8")
        first += count
    return folder


def task_of(world, answer_by):
    """The block of a recipe: text to text, or questions answered in a way."""
    both = {"source_language": SOURCE, "target_languages": [TARGET], "max_answer_tokens": MOST}
    if answer_by == "text":
        return both | {
            "name": "generation",
            "files": {split: f"{{language}}.{split}.jsonl" for split in SIZES},
            "fields": {"text": "sentence", "answer": "wanted", "id": "key"},
            "data_dir": str(world),
            "template": "ula {text}\n",
        }
    return both | {
        "name": "span_qa",
        "files": {split: f"{{language}}.{split}.json" for split in SIZES},
        "data_dir": str(world / "span_qa"),
        "answer_by": answer_by,
        "template": "{context}\nula {question}",
    }


def prompt_of(line, answer_by):
    """What the encoder read for a line of predictions, in words."""
    return f"ula {line['text']}" if answer_by == "text" else f"{line['context']} ula {line['text']}"


def values(world, checkpoint, output, answer_by="text", **changes):
    """A small recipe, as plain data."""
    return {
        "task": task_of(world, answer_by),
        "backbone": {"checkpoint": str(checkpoint), "max_length": 40, "cut": 1},
        "seeds": [1],
        "device": "cpu",
        "prompt": {"name": "deep", "length": 4, "language_length": 2},
        "adapter": {"name": "lora", "rank": 4},
        "train": {"num_train_epochs": 10, "batch_size": 4, "learning_rate": 2e-2, "prompt_learning_rate": 5e-2},
        "output_dir": str(output),
    } | changes


def save_model(folder, family="mt5", **options):
    """Write a random model with its tokenizer."""
    model = writing_model(family, sharpness=2, tied=False, **options)
    return model, save_checkpoint(folder, model, seq2seq_tokenizer())


def by_command(wanted, folder):
    """Run a recipe as ``lingraft run`` does."""
    (folder / "recipe.yaml").write_text(wanted.to_yaml(), encoding="utf-8")
    result = CliRunner().invoke(app, ["run", str(folder / "recipe.yaml"), "--quiet"])
    assert result.exit_code == 0, (result.output, result.exception)


@pytest.fixture(scope="module", params=["text", "generation", "generated_span"])
def done(request, world, tmp_path_factory):
    """What is asked, a random model, and a finished run on it: by the command, or in this process."""
    folder, answer_by = tmp_path_factory.mktemp(request.param), request.param
    model, checkpoint = save_model(folder / "model", {"text": "mt5", "generation": "t5"}.get(answer_by, "umt5"))
    wanted = parse_recipe(values(world, checkpoint, folder / "run", answer_by))
    by_command(wanted, folder) if answer_by == "text" else run(wanted)
    return answer_by, model, folder / "run"


@pytest.fixture
def lines(done, world):
    """The predictions of the target language's test set, each question with its context."""
    rows = list(read_lines(done[2] / "predictions" / TRIAL / f"{TARGET}.jsonl"))
    data = json.loads((world / "span_qa" / f"{TARGET}.test.json").read_text(encoding="utf-8"))
    contexts = {qa["id"]: part["context"] for part in data["data"][0]["paragraphs"] for qa in part["qas"]}
    return [{**row, "context": contexts.get(row["id"], "")} for row in rows]


def slow_answer(next_logits, answer_by, context):
    """The likeliest token each time, all said again for each, of those that any piece of the context goes on with."""
    ids = seq2seq_tokenizer()(context, add_special_tokens=False)["input_ids"]
    pieces = {tuple(ids[i:j]) for i in range(len(ids)) for j in range(i + 1, len(ids) + 1)}
    said = ()
    while len(said) < MOST:
        logits = next_logits([0, *said])
        allowed = range(len(logits))
        if answer_by == "generated_span":
            allowed = {one[len(said)] for one in pieces if one[: len(said)] == said and len(one) > len(said)}
            allowed |= {END} if said else set()
        best = max(allowed, key=lambda token, of=logits: float(of[token]))
        if best == END:
            break
        said = (*said, best)
    return seq2seq_tokenizer().decode(said, skip_special_tokens=True)


def said_by(model, line, answer_by, encoded=None):
    """The answer of Hugging Face's model to a line, from its own encoder's states or others."""
    ids = torch.tensor([seq2seq_tokenizer()(prompt_of(line, answer_by))["input_ids"]])

    def next_logits(said):
        with torch.no_grad():
            given = {"input_ids": ids} if encoded is None else {"encoder_outputs": BaseModelOutput(encoded)}
            return model(**given, decoder_input_ids=torch.tensor([said]), use_cache=False).logits[0, -1]

    return slow_answer(next_logits, answer_by, line["context"])


def test_before_is_what_hugging_face_s_model_says(done, lines):
    """The frozen model's answers to the same prompts, without the cut, the cache of states, or a batch."""
    answer_by, model, _ = done
    for line in lines:
        assert line["before"] == said_by(model, line, answer_by)


def test_after_is_what_peft_s_decoder_says_to_the_adapted_encoder(done, lines):
    """From the words up, prompts and LoRA included, one text at a time; and something was learnt.

    The LoRA of the decoder is what stock PEFT reads from the folder of the run.
    """
    answer_by, model, folder = done
    trained, model = load(folder), PeftModel.from_pretrained(deepcopy(model), str(folder / "peft_lora")).eval()
    for line in lines:
        ids = trained.backbone.tokenizer(prompt_of(line, answer_by))["input_ids"]
        with torch.no_grad():
            final = trained.model.run_layers(pad_batch([ids], trained.backbone.stack, CPU), TARGET)
        assert line["value"] == said_by(model, line, answer_by, final.tokens[:, : len(ids)])
    assert any(line["value"] != line["before"] for line in lines)


def test_training_lowers_the_loss_and_moves_nothing_frozen(done):
    """By half for texts; weights of encoder and decoder are those that were read, to the bit."""
    answer_by, _, folder = done
    losses = [row["task_loss"] for row in read_lines(folder / "trials" / TRIAL / "training.jsonl")]
    assert losses[-1] < {"text": 0.5}.get(answer_by, 0.95) * losses[0]
    backbone = read_object(folder / "summary.json")["backbone"]
    again = load_backbone(str(folder.parent / "model"), writing=True)
    assert backbone["weights_digest"] == backbone["digest_after"] == again.weights_digest
    assert load(folder).identity.decoder_digest == again.decoder_digest


def test_every_part_has_learnt(done):
    """Of LoRA, the halves that begin at zero: what the decoder says is heard by all of them, its own among them."""
    adapter = load(done[2]).model.adaptation.adapter
    for part in (adapter.task, adapter.decoder.task):
        begun = [value for name, value in part.named_parameters() if name.endswith(".B")]
        assert len(begun) > 4
        assert all(bool(value.any()) for value in begun)


def test_what_is_trained_in_the_decoder_is_counted(done, world):
    """In the summary, apart, and by the plan, which loads nothing."""
    answer_by, _, folder = done
    parts = {row["name"]: row["count"] for row in read_object(folder / "summary.json")["parameters"]}
    adaptation = load(folder).model.adaptation
    assert parts["adapter.decoder.task"] == sum(one.numel() for one in adaptation.adapter.decoder.parameters())
    planned = plan(parse_recipe(values(world, folder.parent / "model", folder, answer_by))).work
    (trial,) = planned.trials
    assert trial.trained == sum(parts.values()) == sum(one.numel() for one in adaptation.parameters())


def test_a_loaded_run_answers_the_same(done, lines, tmp_path):
    """In Python, without knowing what is right, and by the command; it was verified in a process of its own."""
    answer_by, _, folder = done
    asked = [
        line["text"] if answer_by == "text" else {"question": line["text"], "context": line["context"]}
        for line in lines
    ]

    found = load(folder).predict(asked, language=TARGET)

    assert [one.value for one in found] == [line["value"] for line in lines]
    assert [one.confidence for one in found] == pytest.approx([line["confidence"] for line in lines], rel=1e-3)
    file = tmp_path / ("asked.txt" if answer_by == "text" else "asked.jsonl")
    say = str if answer_by == "text" else json.dumps
    file.write_text("".join(say(one) + "\n" for one in asked), encoding="utf-8")
    told = CliRunner().invoke(app, ["predict", str(folder), str(file), "--language", TARGET])
    assert told.exit_code == 0, told.output
    assert all(line["value"] in told.output for line in lines)
    assert read_object(folder / "summary.json")["verification"]["texts"] > 0


def test_a_run_that_was_stopped_ends_as_one_that_was_not(world, tmp_path):
    """The same files, to the byte."""
    _, checkpoint = save_model(tmp_path / "model")
    wanted = partial(values, world, checkpoint, train={"num_train_epochs": 2, "batch_size": 4, "learning_rate": 1e-2})
    run(parse_recipe(wanted(tmp_path / "one" / "run")))

    class Stopping(Reporter):
        def task(self, title, total, **options):
            if title.startswith("scoring"):
                interrupt()
            return super().task(title, total, **options)

    other = parse_recipe(wanted(tmp_path / "other" / "run"))
    with pytest.raises(KeyboardInterrupt):
        run(other, reporter=Stopping(quiet=True, clock=lambda: 0.0), save_every=0)
    run(other)
    assert not differing(tmp_path / "one" / "run", tmp_path / "other" / "run")


def test_what_frozen_then_lora_adds_is_in_the_decoder_too(world, tmp_path):
    """In the last epochs, from the texts; loaded again, it answers as it did."""
    _, checkpoint = save_model(tmp_path / "model")
    options = {"adapter": {"name": "bottleneck", "width": 4}, "freezing": {"name": "frozen_then_lora", "rank": 2}}
    few = {"num_train_epochs": 2, "batch_size": 4, "learning_rate": 1e-2}
    folder = run(parse_recipe(values(world, checkpoint, tmp_path / "run", train=few, **options)))

    model = load(folder).model
    learnt = [value for name, value in model.adaptation.lora.decoder.named_parameters() if name.endswith(".B")]
    assert len(learnt) == 22  # eleven linear layers in each of two blocks
    assert all(bool(value.any()) for value in learnt)
    asked = [line["text"] for line in read_lines(folder / "predictions" / TRIAL / f"{TARGET}.jsonl")]
    told = [line["value"] for line in read_lines(folder / "predictions" / TRIAL / f"{TARGET}.jsonl")]
    assert [one.value for one in load(folder).predict(asked, language=TARGET)] == told


@pytest.mark.parametrize("name", ["memory", "gated"])
def test_a_prompt_in_the_decoder_learns_and_is_counted(world, tmp_path, name):
    """Beside that of the encoder, for languages too; loaded again, it answers as it did."""
    _, checkpoint = save_model(tmp_path / "model")
    few = {"num_train_epochs": 2, "batch_size": 4, "prompt_learning_rate": 1e-2}
    wanted = parse_recipe(values(world, checkpoint, tmp_path / "run", train=few, prompt={"name": name}, adapter=None))
    folder = run(wanted)

    inside = load(folder).model.adaptation.prompt.decoder
    begun = inside.gate.task if name == "gated" else inside.task
    assert len(list(begun.values())) == 2  # blocks
    assert all(bool(one.any()) for one in begun.values())
    rows = read_object(folder / "summary.json")["parameters"]
    counted = sum(row["count"] for row in rows if row["name"].startswith("prompt.decoder."))
    assert counted == sum(one.numel() for one in inside.parameters())
    assert plan(wanted).work.trials[0].trained == sum(row["count"] for row in rows)
    lines = list(read_lines(folder / "predictions" / TRIAL / f"{TARGET}.jsonl"))
    found = load(folder).predict([line["text"] for line in lines], language=TARGET)
    assert [one.value for one in found] == [line["value"] for line in lines]


def test_what_is_extracted_of_tuned_matrices_is_the_encoder_s(world, tmp_path):
    """Whose matrices were tuned; the file of the run comes back."""
    _, checkpoint = save_model(tmp_path / "model")
    wanted = values(world, checkpoint, tmp_path / "run", adapter=None, freezing={"name": "extract", "rank": 2})
    wanted |= {"train": {"num_train_epochs": 1, "batch_size": 4}}
    wanted["backbone"] = {"checkpoint": str(checkpoint), "max_length": 40}

    adapter = load(run(parse_recipe(wanted))).model.adaptation.adapter

    assert adapter.decoder is None
    assert adapter.matrices()


# ---- What is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer_by", ["text", "generation"])
def test_an_encoder_without_its_decoder_is_refused(world, tmp_path, answer_by):
    """By a run, and before one."""
    checkpoint = save_checkpoint(tmp_path / "model", random_model("mt5"), seq2seq_tokenizer())
    recipe = parse_recipe(values(world, checkpoint, tmp_path / "run", answer_by))
    with pytest.raises(CheckpointError, match="has the encoder alone"):
        run(recipe)
    with pytest.raises(ConfigError, match="has the encoder alone"):
        plan(recipe)


def test_a_first_token_that_is_none_is_refused_beforehand(world, tmp_path):
    """As a run refuses it."""
    model, checkpoint = save_model(tmp_path / "model")
    model.config.decoder_start_token_id = 37
    model.config.save_pretrained(checkpoint)
    recipe = parse_recipe(values(world, checkpoint, tmp_path / "run"))
    for carry_out, refused in ((run, CheckpointError), (plan, ConfigError)):
        with pytest.raises(refused, match="a number from 0 to 36, found 37"):
            carry_out(recipe)


def test_a_run_is_planned_with_its_decoder(world, tmp_path):
    """By shapes, no weights are loaded: what it says and writes, in time, and its weights and logits, in memory."""
    model, checkpoint = save_model(tmp_path / "model")
    found = plan(parse_recipe(values(world, checkpoint, tmp_path / "run"))).work
    (trial,) = found.trials
    answers = {key: sum(len(row.answer) for row in rows) for key, rows in found.tokenised.items()}
    tested = answers[SOURCE, "test"] + answers[TARGET, "test"]
    assert trial.said == 10 * answers[SOURCE, "learn"] > 0
    assert trial.written == 11 * answers[SOURCE, "dev"] + tested
    alone = replace(found, stack=empty_stack(str(checkpoint)))
    parts = {id(one): one.numel() for part in (model.decoder, model.lm_head) for one in part.parameters()}
    assert found.needs.device - alone.needs.device > 4 * sum(parts.values())  # words among them, which the encoder maps


def test_another_decoder_is_another_model(done, tmp_path):
    """Neither a run goes on with it, nor are answers given by it; nor by an encoder alone."""
    _, model, folder = done
    with torch.no_grad():
        again = deepcopy(model)
        again.decoder.final_layer_norm.weight.add_(1)
    other = save_checkpoint(tmp_path / "other", again, seq2seq_tokenizer())
    with pytest.raises(CheckpointError, match="was trained on another decoder"):
        load(folder, backbone=other)
    with pytest.raises(CheckpointError, match="was loaded without one"):
        load(folder, backbone=load_backbone(str(folder.parent / "model")))


def test_what_cannot_hold_the_decoder_says_so(done, tmp_path):
    """Neither a smaller vocabulary nor other libraries' formats."""
    folder = done[2]
    (tmp_path / "texts.txt").write_text("ada beli\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="answers with the decoder of"):
        trim(str(folder), [tmp_path / "texts.txt"], tmp_path / "small")
    for format in ("peft", "hf", "onnx"):
        with pytest.raises(CheckpointError):
            export_run(folder, format, tmp_path / format, language=TARGET)


@pytest.mark.parametrize("name", ["lora", "scaling"])
def test_an_adapter_of_a_decoder_that_does_not_answer_is_refused_beforehand(world, tmp_path, name):
    """The span head reads the encoder's states: in one line, before anything is computed."""
    _, checkpoint = save_model(tmp_path / "model")
    wanted = values(world, checkpoint, tmp_path / "run", "span_head", adapter={"name": name, "decoder": True})
    wanted["task"] = {
        key: value for key, value in wanted["task"].items() if key not in ("template", "max_answer_tokens")
    }
    with pytest.raises(ConfigError, match=r"adapter\.decoder: true is for .* and a head answers this task"):
        plan(parse_recipe(wanted))


def test_words_that_are_trained_are_refused(world, tmp_path):
    """The decoder would speak by others than it reads."""
    _, checkpoint = save_model(tmp_path / "model")
    wanted = values(world, checkpoint, tmp_path / "run", prompt=None, adapter=None, freezing={"name": "full"})
    with pytest.raises(ConfigError, match=r"freezing\.name: full trains the word embeddings"):
        run(parse_recipe(wanted | {"backbone": {"checkpoint": str(checkpoint), "max_length": 40}}))
