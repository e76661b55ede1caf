"""Text to text on decoders: from files to prompts that were trained, to answers that are written, and back."""

import json

import pytest
import torch
from typer.testing import CliRunner

import lingraft
from invented import SOURCE, TARGET, labelled_texts, translated
from lingraft.backbones.encoding import encode
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.walk import pad_batch
from lingraft.cli.main import app
from lingraft.core.errors import CheckpointError, ConfigError, DataError
from lingraft.core.files import read_lines, read_object
from lingraft.core.records import IDS
from lingraft.model.adaptation import Adaptation
from lingraft.model.heads import build_head
from lingraft.model.network import GraftedModel
from lingraft.recipe.parsing import parse_recipe
from lingraft.results.metrics.chrf import chrf
from lingraft.serving.loading import load
from lingraft.tasks.kinds.generation import GenerationExample, generation_kind, read_rows
from quick_run import quick_compare, run
from tiny import decoder_tokenizer, random_model, save_checkpoint

CPU = torch.device("cpu")
SIZES = {"train": 16, "dev": 6, "test": 6}
TOPICS = {"bird": "wina xilo", "river": "yara", "stone": "zeno bako cire"}
TEMPLATE = "ula {text}\nvero"
TRIAL = "k0-draw0-seed1"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """JSON lines: a text, and the words for its topic, in one of two languages."""
    folder, texts, first = tmp_path_factory.mktemp("texts"), labelled_texts(sum(SIZES.values())), 0
    for split, count in SIZES.items():
        for language, say in ((SOURCE, str), (TARGET, translated)):
            rows = [
                {"key": f"{split}{i}", "sentence": say(text), "wanted": [TOPICS[label], "ada"]}
                for i, (text, label) in enumerate(texts[first : first + count])
            ]
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"{language}.{split}.jsonl").write_text(lines, encoding="utf-8")
        first += count
    return folder


def values(world, checkpoint, output, **changes):
    """A small recipe for these texts, as plain data."""
    task = {
        "name": "generation",
        "source_language": SOURCE,
        "target_languages": [TARGET],
        "files": {split: f"{{language}}.{split}.jsonl" for split in SIZES},
        "fields": {"text": "sentence", "answer": "wanted", "id": "key"},
        "data_dir": str(world),
        "template": TEMPLATE,
        "max_answer_tokens": 6,
    }
    return {
        "task": task,
        "backbone": {"checkpoint": str(checkpoint), "max_length": 32, "cut": 1},
        "seeds": [1],
        "device": "cpu",
        "prompt": {"name": "deep", "length": 4, "language_length": 2},
        "adapter": {"name": "lora", "rank": 4},
        "train": {"num_train_epochs": 12, "batch_size": 8, "learning_rate": 2e-2, "prompt_learning_rate": 5e-2},
        "output_dir": str(output),
    } | changes


def by_command(wanted, folder):
    """Run a recipe as ``lingraft run`` does."""
    (folder / "recipe.yaml").write_text(wanted.to_yaml(), encoding="utf-8")
    result = CliRunner().invoke(app, ["run", str(folder / "recipe.yaml"), "--quiet"])
    assert result.exit_code == 0, (result.output, result.exception)


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def done(request, world, tmp_path_factory):
    """A random decoder, and a finished run on it: by the command, or in this process, which is as fast again."""
    folder = tmp_path_factory.mktemp(request.param)
    model = random_model(request.param, speaking=True)
    checkpoint = save_checkpoint(folder / "model", model, decoder_tokenizer())
    wanted = parse_recipe(values(world, checkpoint, folder / "run"))
    (folder / "learnt.jsonl").write_bytes((world / f"{SOURCE}.train.jsonl").read_bytes())
    {"llama": by_command, "qwen3": lambda recipe, folder: run(recipe)}[request.param](wanted, folder)
    return model, folder / "run"


def lines_of(folder):
    """The predictions of the target language's test set."""
    return list(read_lines(folder / "predictions" / TRIAL / f"{TARGET}.jsonl"))


def written(tokens):
    """What tokens say, up to what ends them."""
    ends = [place for place, token in enumerate(tokens) if token in (2, 4)]
    kept = tokens[: ends[0]] if ends else tokens
    return decoder_tokenizer().decode(kept, skip_special_tokens=True)


def test_before_is_what_hugging_face_generates(done):
    """The frozen model's answers to the same prompts, without the cut, the cache of states, or a batch."""
    model, folder = done
    for line in lines_of(folder):
        ids = torch.tensor([decoder_tokenizer()(f"ula {line['text']}\nvero")["input_ids"]])
        generated = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False, eos_token_id=2
        )
        assert line["before"] == written(generated[0, ids.shape[1] :].tolist())


def test_after_is_what_the_adapted_model_finds_likeliest_token_by_token(done):
    """Everything read again for each token, prompts and LoRA included."""
    _, folder = done
    predictor = load(folder)
    stack = predictor.backbone.stack
    for line in lines_of(folder):
        ids, said = predictor.backbone.tokenizer(f"ula {line['text']}\nvero")["input_ids"], []
        with torch.no_grad():
            for _ in range(6):
                final = predictor.model.run_layers(pad_batch([[*ids, *said]], stack, CPU), TARGET)
                said.append(int(stack.speak(final.tokens[0, len(ids) + len(said) - 1]).argmax()))
        assert line["value"] == written(said)


def test_training_raises_the_likelihood_of_the_answers(done):
    """Less cross-entropy by half, and most of what was learnt from is now answered as it was."""
    _, folder = done
    losses = [row["task_loss"] for row in read_lines(folder / "trials" / TRIAL / "training.jsonl")]
    assert losses[-1] < 0.5 * losses[0]
    learnt = read_rows(folder.parent / "learnt.jsonl", {"text": "sentence", "answer": "wanted"}, SOURCE)
    found = load(folder).predict([example.text for example in learnt], language=SOURCE)
    right = [one.value == example.answers[0] for one, example in zip(found, learnt, strict=True)]
    assert sum(right) > len(right) / 2


def test_scores_are_those_of_the_answers(done):
    """Exact match, token F1 and chrF, with intervals; any of several answers is right."""
    _, folder = done
    rows = [row for row in read_lines(folder / "scores.jsonl") if row["language"] == TARGET]
    found = {row["metric"]: row for row in rows if row["method"] == "lingraft"}
    lines = lines_of(folder)

    assert set(found) == {"f1", "exact_match", "chrf"}
    exact = sum(line["value"] in line["gold"] for line in lines) / len(lines)
    assert found["exact_match"]["value"] == pytest.approx(exact)
    best = [max(line["gold"], key=lambda one, said=line["value"]: chrf([said], [one])) for line in lines]
    assert found["chrf"]["value"] == pytest.approx(chrf([line["value"] for line in lines], best) / 100)
    assert all(row["low"] <= row["value"] <= row["high"] for row in found.values())


def test_a_loaded_run_writes_the_same_answers(done, tmp_path):
    """In Python and by the command, without knowing what is right; and it was verified in a process of its own."""
    _, folder = done
    lines = lines_of(folder)
    texts = [line["text"] for line in lines]

    found = load(folder).predict(texts, language=TARGET)

    assert [one.value for one in found] == [line["value"] for line in lines]
    assert [one.confidence for one in found] == pytest.approx([line["confidence"] for line in lines], rel=1e-3)
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    told = CliRunner().invoke(app, ["predict", str(folder), str(tmp_path / "texts.txt"), "--language", TARGET])
    assert told.exit_code == 0, told.output
    assert all(line["value"] in told.output for line in lines)
    assert read_object(folder / "summary.json")["verification"]["texts"] > 0


def test_it_stands_in_for_a_pipeline_that_writes(done):
    """A list of one answer for each text, under transformers' name for it."""
    _, folder = done
    lines, ours = lines_of(folder), lingraft.pipeline(folder, language=TARGET)

    found = ours([line["text"] for line in lines])

    assert found == [[{"generated_text": line["value"]}] for line in lines]
    assert ours(lines[0]["text"]) == found[0]
    assert ours.task == "text-generation"


def test_the_loss_is_hugging_face_s(world, tmp_path):
    """The mean over the tokens of the answers and their ends, in a batch of several lengths, from any cut."""
    model = random_model("llama", speaking=True)
    backbone = load_backbone(str(save_checkpoint(tmp_path, model, decoder_tokenizer())))
    kind = generation_kind(template=TEMPLATE, max_answer_tokens=6)
    examples = read_rows(world / f"{SOURCE}.train.jsonl", {"text": "sentence", "answer": "wanted"}, SOURCE)[:5]
    features = kind.encode(examples, backbone.tokenizer, 32, "")
    targets = kind.collate([feature.target for feature in features], 0)
    expected = total = 0.0
    for example in examples:
        before = backbone.tokenizer(f"ula {example.text}\nvero")["input_ids"]
        after = [*backbone.tokenizer(example.answers[0], add_special_tokens=False)["input_ids"], 2]
        ids = torch.tensor([[*before, *after]])
        with torch.no_grad():
            labels = ids.masked_fill(torch.arange(ids.shape[1]) < len(before), -100)
            loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
        expected, total = expected + loss.item() * len(after), total + len(after)
    network = GraftedModel(backbone.stack, Adaptation(None, None, build_head(kind, backbone.stack)))
    for cut in (IDS, 0, 2):
        encoded = encode(features, backbone, cut=cut, dtype="float32", max_bytes=10**9, device=CPU)
        states = encoded.batch(range(5))

        _, logits = network(states, SOURCE)

        ones = torch.ones(5)
        found = kind.loss(logits, targets, states.mask, ones, ones)
        assert found.item() == pytest.approx(expected / total, abs=1e-5)


def test_a_comparison_leaves_out_whose_answers_are_no_words(world, tmp_path):
    """The frozen model is a row of it as it is; PEFT's networks have a head on states, and are not compared."""
    checkpoint = save_checkpoint(tmp_path / "model", random_model("llama", speaking=True), decoder_tokenizer())
    wanted = values(world, checkpoint, tmp_path / "out", train={"num_train_epochs": 1, "batch_size": 8})

    quick_compare(parse_recipe(wanted | {"compare": {"methods": ["frozen-head", "peft-lora", "lingraft"]}}))

    facts = {name: read_object(tmp_path / "out" / name / "method.json") for name in ("frozen-head", "peft-lora")}
    assert facts["frozen-head"]["trainable_parameters"] == 0
    assert "what the frozen model writes" in facts["frozen-head"]["about"]
    assert "generation by the decoder's own" in facts["peft-lora"]["impossible"]
    scored = {row["method"] for row in read_lines(tmp_path / "out" / "scores.jsonl")}
    assert scored == {"frozen-head", "lingraft"}


# ---- What is refused -----------------------------------------------------------------------------------


def test_an_encoder_is_refused(world, tiny_checkpoint, tmp_path):
    """With the family that it is of."""
    with pytest.raises(CheckpointError, match="generation needs a decoder, and this checkpoint is of the family"):
        run(parse_recipe(values(world, tiny_checkpoint, tmp_path)))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"template": "{text} {question}"}, r"\{question\} is no field; there are \{text\}, \{context\}"),
        ({"template": "no text"}, r"expected \{text\} in it, once"),
        ({"template": "{text} {context}"}, "has no context, which the template names"),
        ({"max_answer_tokens": 40}, "task.max_answer_tokens: 40 leaves no room for a prompt"),
        ({"fields": {"text": "sentence", "reply": "wanted"}}, "fields: unknown field 'reply'"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(world, tmp_path, changes, problem):
    """A template with other fields, one that the data lack, or no room for a prompt."""
    checkpoint = save_checkpoint(tmp_path / "model", random_model("llama", speaking=True), decoder_tokenizer())
    wanted = values(world, checkpoint, tmp_path / "run")
    with pytest.raises((ConfigError, DataError), match=problem):
        run(parse_recipe(wanted | {"task": wanted["task"] | changes}))


def test_words_that_are_trained_are_refused(world, tmp_path):
    """The decoder would speak by others than it reads."""
    model = random_model("bloom", speaking=True)
    checkpoint = save_checkpoint(tmp_path / "model", model, decoder_tokenizer())
    wanted = values(world, checkpoint, tmp_path / "run", prompt=None, adapter=None, freezing={"name": "full"})
    with pytest.raises(ConfigError, match=r"freezing\.name: full trains the word embeddings"):
        run(parse_recipe(wanted | {"backbone": {"checkpoint": str(checkpoint), "max_length": 32}}))


def test_prompts_are_the_same_with_and_without_an_answer(world, tmp_path):
    """Texts lose their end until the longest answer fits, long answers theirs until they fit; both are counted."""
    tokenizer = decoder_tokenizer()
    kind = generation_kind(template=TEMPLATE, max_answer_tokens=4)
    long = " ".join(["ada", "beli"] * 9)
    known = GenerationExample("1", "1", SOURCE, text=long, answers=("cora dune eli fara goma",))
    asked = GenerationExample("2", "2", SOURCE, text=long)

    with_answer, without = kind.encode([known, asked], tokenizer, 16, "")

    prompt = tokenizer("ula ada beli ada beli ada beli ada beli\nvero")["input_ids"]
    answer = tokenizer("cora dune eli", add_special_tokens=False)["input_ids"]
    assert len(prompt) == 16 - 4
    assert with_answer.asked == without.input_ids == tuple(prompt)
    assert with_answer.input_ids == (*prompt, *answer, 2)
    assert (with_answer.truncated, without.target) == (10, None)
    assert "1 of 2 right answers fill all 4 tokens" in kind.limit_of([known, asked], [with_answer, without])
