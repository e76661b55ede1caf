"""The method label-words in a comparison: a template in the recipe, and a row of the table without a label."""

import re

import pytest
import torch
from typer.testing import CliRunner

from invented import SOURCE, TARGET, world_recipe, write_world
from invented_kinds import SIZES, write_kinds
from lingraft.cli.main import app
from lingraft.core.errors import ConfigError, LingraftError
from lingraft.core.files import read_lines, read_object
from lingraft.experiments.label_words import count_answers
from lingraft.experiments.methods import list_methods
from lingraft.experiments.possible import settle_methods
from lingraft.recipe.parsing import parse_recipe
from lingraft.runs.checks import gather_checked
from quick_run import quick_compare
from tiny import decoder_tokenizer, random_model, save_checkpoint, seq2seq_tokenizer, writing_model

ASKED = {"template": "{text}\nwina {label}", "words": {"bird": "zeno bako", "river": "cire", "stone": "dilo"}}
SMALL = ["device=cpu", "seeds=[1]", "train.num_train_epochs=1", "shots.k=0"]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    """A random qwen3 with its head."""
    model = random_model("qwen3", speaking=True)
    return model, save_checkpoint(tmp_path_factory.mktemp("qwen3"), model, decoder_tokenizer())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"))


def recipe(world, checkpoint, output, **compared):
    """Label words and a frozen head on the invented texts."""
    return world_recipe(
        world,
        [*SMALL, f"output_dir={output}"],
        backbone={"checkpoint": str(checkpoint), "max_length": 32},
        compare={"methods": ["frozen-head", "label-words"], "label_words": ASKED} | compared,
    )


def log_likelihood(model, before, after):
    """Hugging Face's, of the ids that follow."""
    ids = torch.tensor([[*before, *after]])
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].log_softmax(-1)
    return sum(logits[len(before) - 1 + i, token].item() for i, token in enumerate(after))


def test_texts_get_the_label_whose_words_hugging_face_finds_likeliest(decoder, world, tmp_path):
    """With scores, intervals and a row of the table; corrections are variants, which change answers as they say."""
    model, checkpoint = decoder
    variants = {
        "pmi": {"method": "label-words", "label_words": {"pmi": True}},
        "calibrated": {"method": "label-words", "label_words": {"batch_calibration": True}},
    }
    output = tmp_path / "out"

    quick_compare(recipe(world, checkpoint, output, variants=variants))

    tokenizer = decoder_tokenizer()
    words = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in ASKED["words"].values()]
    blank = [log_likelihood(model, tokenizer("\nwina")["input_ids"], word) for word in words]
    for method in ("label-words", "pmi"):
        lines = list(read_lines(output / method / "predictions" / "k0-draw0-seed1" / f"{TARGET}.jsonl"))
        assert len(lines) == 12
        for line in lines:
            before = tokenizer(f"{line['text']}\nwina")["input_ids"]
            sums = torch.tensor([log_likelihood(model, before, word) for word in words])
            sums = sums - torch.tensor(blank) if method == "pmi" else sums
            assert line["value"] == list(ASKED["words"])[int(sums.argmax())]
            assert line["confidence"] == pytest.approx(sums.softmax(-1).max().item(), abs=1e-4)
    said = {line["value"] for line in lines}
    calibrated = read_lines(output / "calibrated" / "predictions" / "k0-draw0-seed1" / f"{TARGET}.jsonl")
    assert len({line["value"] for line in calibrated}) == 3 >= len(said)

    scores = [row for row in read_lines(output / "scores.jsonl") if row["method"] == "label-words"]
    assert {(row["language"], row["metric"]) for row in scores} >= {(TARGET, "accuracy"), (TARGET, "macro_f1")}
    assert all(row["low"] <= row["value"] <= row["high"] for row in scores)
    facts = read_object(output / "pmi" / "method.json")
    assert facts["trainable_parameters"] == 0
    assert "pmi True" in facts["about"]
    page = (output / "README.md").read_text()
    assert "`label-words`" in page
    assert "no label is read" in page


def test_alternatives_are_chosen_by_their_words(decoder, tmp_path):
    """Items of a choice, with their question."""
    model, checkpoint = decoder
    (tmp_path / "kinds").mkdir()
    folder = write_kinds(tmp_path / "kinds")
    values = {
        "task": {
            "name": "choice",
            "source_language": SOURCE,
            "target_languages": [TARGET],
            "files": {split: f"{{language}}.{split}.jsonl" for split in SIZES},
            "data_dir": str(folder / "choice"),
            "fields": {"text": "premise", "alternatives": ["one", "two"], "label": "label", "id": "key"},
        },
        "backbone": {"checkpoint": str(checkpoint), "max_length": 32},
        "compare": {"methods": ["label-words"], "label_words": {"template": "{text} {alternative}"}},
    }

    quick_compare(parse_recipe(values, [*SMALL, f"output_dir={tmp_path / 'out'}"]))

    tokenizer = decoder_tokenizer()
    lines = list(read_lines(tmp_path / "out/label-words/predictions/k0-draw0-seed1" / f"{TARGET}.jsonl"))
    assert len(lines) == SIZES["test"]
    for line in lines:
        before = tokenizer(line["text"])["input_ids"]
        sums = [
            log_likelihood(model, before, tokenizer(one, add_special_tokens=False)["input_ids"])
            for one in line["alternatives"]
        ]
        assert line["value"] == str(sums.index(max(sums)))


@pytest.mark.parametrize(
    ("compared", "problem"),
    [
        ({"label_words": {"template": "{text} {topic} {label}"}}, r"label_words.template: .*\{topic\} is no field"),
        ({"label_words": {"template": "{text}"}}, r"expected \{label\} or \{alternative\} in it, once"),
        ({"label_words": None}, "label-words: needs compare.label_words"),
        (
            {"variants": {"x": {"method": "label-words", "label_words": {"pmy": True}}}},
            "compare, x: label_words.pmy: .*",
        ),
    ],
)
def test_a_wrong_template_is_refused_by_its_name(decoder, world, tmp_path, compared, problem):
    """Before anything is computed."""
    with pytest.raises(ConfigError, match=problem):
        list_methods(recipe(world, decoder[1], tmp_path, **compared))


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"template": "{text} {alternative}"}, r"template: \{alternative\} is no field; there are \{text\}, \{label\}"),
        ({"template": "{text} {text_b} {label}"}, r"template: \{text_b\} is no field"),
        (ASKED | {"words": {"fish": "ada"}}, "words: fish is no label; labels are bird, river, stone"),
        (
            ASKED | {"words": {"bird": "ada", "stone": " ada"}},
            "words: bird and stone have the same words, 'ada'; ",
        ),
        (ASKED | {"words": {"bird": "river"}}, "words: bird and river have the same words"),
    ],
)
def test_what_does_not_fit_the_task_is_told_by_check_and_run(decoder, world, tmp_path, asked, problem):
    """With the fields and labels that there are."""
    wanted = recipe(world, decoder[1], tmp_path / "out", label_words=asked)
    (tmp_path / "recipe.yaml").write_text(wanted.to_yaml(), encoding="utf-8")

    told = CliRunner().invoke(app, ["check", str(tmp_path / "recipe.yaml")])

    assert re.search(problem, str(told.exception))
    with pytest.raises(LingraftError, match=problem):
        quick_compare(wanted)


def test_an_encoder_decoder_is_asked_beside_its_frozen_head(world, tmp_path):
    """Answers are those of Hugging Face's decoder; the head is on states of the encoder, with the same digest."""
    model = writing_model("mt5", sharpness=2, tied=False)
    checkpoint = save_checkpoint(tmp_path / "model", model, seq2seq_tokenizer())

    wanted, tokenizer = recipe(world, checkpoint, tmp_path / "out"), seq2seq_tokenizer()
    method = next(one for one in list_methods(wanted) if one.name == "label-words")
    materials = gather_checked(wanted)
    texts = len(materials.dev) + sum(map(len, materials.test.values()))
    each = sum(len(tokenizer(word, add_special_tokens=False)["input_ids"]) for word in ASKED["words"].values())
    assert count_answers(method, materials) == texts * each > 0

    quick_compare(wanted)

    lines = list(read_lines(tmp_path / "out" / "label-words" / "predictions" / "k0-draw0-seed1" / f"{TARGET}.jsonl"))
    assert len(lines) == 12
    for line in lines:
        given, sums = torch.tensor([tokenizer(f"{line['text']} wina")["input_ids"]]), []
        for word in ASKED["words"].values():
            labels = torch.tensor([tokenizer(word, add_special_tokens=False)["input_ids"]])
            with torch.no_grad():
                sums.append(-model(input_ids=given, labels=labels).loss.item() * labels.shape[1])
        assert line["value"] == list(ASKED["words"])[int(torch.tensor(sums).argmax())]
    identities = [
        read_object(tmp_path / "out" / name / "trials" / "k0-draw0-seed1" / "identity.json")
        for name in ("frozen-head", "label-words")
    ]
    assert identities[0]["backbone"] == identities[1]["backbone"]
    assert ["decoder that writes the answers" in one for one in identities] == [False, True]


def test_the_encoder_of_an_encoder_decoder_says_no_words(world, tmp_path):
    """The method is left out of the table with the reason."""
    checkpoint = save_checkpoint(tmp_path / "model", random_model("mt5"), seq2seq_tokenizer())
    quick_compare(recipe(world, checkpoint, tmp_path / "out"))

    facts = read_object(tmp_path / "out" / "label-words" / "method.json")
    assert "has its encoder alone" in facts["impossible"]


def test_an_encoder_says_no_words(world, tiny_checkpoint, tmp_path):
    """The method is left out of the table with the reason."""
    quick_compare(recipe(world, tiny_checkpoint, tmp_path / "out"))

    facts = read_object(tmp_path / "out" / "label-words" / "method.json")
    assert "label words need a decoder" in facts["impossible"]


def test_without_a_template_the_method_is_left_out_of_all(world, tiny_checkpoint, tmp_path):
    """And with what it would need."""
    values = world_recipe(world, SMALL, backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32})

    settled, left_out = settle_methods(values)

    assert left_out["label-words"] == "needs a prompt template, compare.label_words"
    assert "label-words" not in settled.compare.methods
