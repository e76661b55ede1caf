"""Questions answered in writing by a decoder: from files to prompts that were trained, to answers, and back."""

import json
from collections import Counter

import pytest
import torch

import lingraft
from invented import SOURCE, TARGET
from invented_kinds import SIZES, write_kinds
from lingraft.backbones.walk import pad_batch
from lingraft.core.errors import CheckpointError, ConfigError
from lingraft.core.files import read_lines, read_object
from lingraft.recipe.parsing import parse_recipe
from lingraft.runs.checks import gather_checked
from lingraft.serving.loading import load
from quick_run import run
from tiny import decoder_tokenizer, random_model, save_checkpoint

CPU = torch.device("cpu")
TEMPLATE = "{context}\nula {question}\nvero"
MOST = 4
ENDS = {2, 4}  # the end of a text, and of a line


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Questions in SQuAD's JSON, in two languages."""
    folder = tmp_path_factory.mktemp("questions")
    write_kinds(folder)
    return folder


def values(world, checkpoint, output, answer_by):
    """A small recipe for these questions, as plain data."""
    return {
        "task": {
            "name": "span_qa",
            "source_language": SOURCE,
            "target_languages": [TARGET],
            "files": {split: f"{{language}}.{split}.json" for split in SIZES},
            "data_dir": str(world / "span_qa"),
            "answer_by": answer_by,
            "template": TEMPLATE,
            "max_answer_tokens": MOST,
        },
        "backbone": {"checkpoint": str(checkpoint), "max_length": 40, "cut": 1},
        "seeds": [1],
        "device": "cpu",
        "prompt": {"name": "memory"},
        "adapter": {"name": "lora", "rank": 4},
        "train": {"num_train_epochs": 2, "batch_size": 4, "learning_rate": 1e-2, "prompt_learning_rate": 1e-2},
        "output_dir": str(output),
    }


@pytest.fixture(scope="module", params=["generation", "generated_span"])
def done(request, world, tmp_path_factory):
    """How questions are answered, a random decoder, and a finished run on it."""
    folder = tmp_path_factory.mktemp(request.param)
    model = random_model("llama", speaking=True)
    checkpoint = save_checkpoint(folder / "model", model, decoder_tokenizer())
    run(parse_recipe(values(world, checkpoint, folder / "run", request.param)))
    return request.param, model, folder / "run"


def lines_of(folder):
    """Each question of the target language's test set with its context, and the line of its prediction."""
    data = json.loads((folder.parent / "questions.json").read_text(encoding="utf-8"))
    contexts = {qa["id"]: part["context"] for part in data["data"][0]["paragraphs"] for qa in part["qas"]}
    rows = read_lines(folder / "predictions" / "k0-draw0-seed1" / f"{TARGET}.jsonl")
    return [(row["text"], contexts[row["id"]], row) for row in rows]


@pytest.fixture
def answered(done, world):
    """Questions, contexts and the lines of their predictions."""
    folder = done[2]
    (folder.parent / "questions.json").write_bytes((world / "span_qa" / f"{TARGET}.test.json").read_bytes())
    return lines_of(folder)


def words_of(tokens):
    """What tokens say."""
    return decoder_tokenizer().decode(tokens, skip_special_tokens=True)


def slow_answer(next_logits, answer_by, question, context):
    """The likeliest token each time, all read again for each, of those that any piece of the context goes on with."""
    tokenizer = decoder_tokenizer()
    prompt = tokenizer(f"{context}\nula {question}\nvero")["input_ids"]
    ids = tokenizer(context, add_special_tokens=False)["input_ids"]
    pieces = {tuple(ids[i:j]) for i in range(len(ids)) for j in range(i + 1, len(ids) + 1)}
    said = ()
    while len(said) < MOST:
        logits = next_logits([*prompt, *said])
        allowed = range(len(logits))
        if answer_by == "generated_span":
            allowed = {one[len(said)] for one in pieces if one[: len(said)] == said and len(one) > len(said)}
            allowed |= ENDS if said else set()
        best = max(allowed, key=lambda token, of=logits: float(of[token]))
        if best in ENDS:
            break
        said = (*said, best)
    return words_of(said)


def test_before_is_what_hugging_face_s_model_says(done, answered):
    """The frozen model's answers to the same prompts, without the cut, the cache of states, or a batch."""
    answer_by, model, _ = done

    def next_logits(ids):
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids))).logits[0, -1]

    for question, context, row in answered:
        assert row["before"] == slow_answer(next_logits, answer_by, question, context)


def test_after_is_what_the_adapted_model_says(done, answered):
    """With all that was learnt, everything read again for each token."""
    answer_by, _, folder = done
    model = load(folder).model

    def next_logits(ids):
        with torch.no_grad():
            final = model.run_layers(pad_batch([ids], model.stack, CPU), TARGET)
            return model.stack.speak(final.tokens[0, len(ids) - 1])

    for question, context, row in answered:
        assert row["value"] == slow_answer(next_logits, answer_by, question, context)
    assert any(row["value"] != row["before"] for _, _, row in answered)


def test_scores_are_squad_s(done, answered):
    """Token F1 and exact match of these answers, by hand: they have no articles and no punctuation."""
    _, _, folder = done
    rows = [row for row in read_lines(folder / "scores.jsonl") if row["language"] == TARGET]
    found = {row["metric"]: row for row in rows if row["method"] == "lingraft"}

    def f1(one, other):
        common = sum((Counter(one.split()) & Counter(other.split())).values())
        return 2 * common / (len(one.split()) + len(other.split())) if common else 0.0

    assert set(found) == {"f1", "exact_match"}
    scores = [max(f1(gold, row["value"]) for gold in row["gold"]) for _, _, row in answered]
    assert found["f1"]["value"] == pytest.approx(sum(scores) / len(scores))
    exact = [row["value"] in row["gold"] for _, _, row in answered]
    assert found["exact_match"]["value"] == pytest.approx(sum(exact) / len(exact))


def test_a_loaded_run_answers_the_same(done, answered):
    """Reloaded, in one batch; it was verified in a process of its own, and nothing frozen moved."""
    answer_by, _, folder = done
    asked = [{"question": question, "context": context} for question, context, _ in answered]

    found = load(folder).predict(asked, language=TARGET)

    assert [one.value for one in found] == [row["value"] for _, _, row in answered]
    assert [one.confidence for one in found] == pytest.approx([row["confidence"] for *_, row in answered], rel=1e-3)
    pieces = [context[one.start : one.end] for one, (_, context, _) in zip(found, answered, strict=True)]
    assert pieces == ([one.value for one in found] if answer_by == "generated_span" else [c for _, c, _ in answered])
    summary = read_object(folder / "summary.json")
    assert summary["verification"]["texts"] > 0
    assert summary["backbone"]["weights_digest"] == summary["backbone"]["digest_after"]


def test_it_stands_in_for_a_pipeline_that_answers_questions(done, answered):
    """Answers come with their place where they are pieces of the context, and without one where they are written."""
    answer_by, _, folder = done
    asked = [{"question": question, "context": context} for question, context, _ in answered]
    ours, predicted = lingraft.pipeline(folder, language=TARGET), load(folder).predict(asked, language=TARGET)

    found = ours(asked)

    places = {True: [{"start": one.start or 0, "end": one.end or 0} for one in predicted], False: [{}] * len(predicted)}
    expected = [
        pytest.approx({"score": one.confidence} | place, rel=1e-3)
        for one, place in zip(predicted, places[answer_by == "generated_span"], strict=True)
    ]
    assert [row.pop("answer") for row in found] == [one.value for one in predicted]
    assert found == expected
    alone = ours(**asked[0])
    assert (alone.pop("answer"), alone) == (predicted[0].value, expected[0])


def test_copies_that_must_get_the_same_answers_are_refused(world, tmp_path):
    """What is written has no distribution over places to compare."""
    (tmp_path / "words.tsv").write_text("ada\tbeli\n", encoding="utf-8")
    wanted = values(world, "a decoder", tmp_path, "generation") | {
        "consistency": {"lexicon": str(tmp_path / "words.tsv")}
    }
    with pytest.raises(ConfigError, match=r"consistency: .* is answered in writing"):
        gather_checked(parse_recipe(wanted))


def test_an_encoder_is_refused(world, tiny_checkpoint, tmp_path):
    """With the family that it is of."""
    with pytest.raises(CheckpointError, match="generation needs a decoder, and this checkpoint is of the family"):
        run(parse_recipe(values(world, tiny_checkpoint, tmp_path, "generated_span")))
