"""Methods of other libraries: they are what their documentation shows, on the same labels, within their budget."""

import math
import sys
import tempfile
from importlib.util import find_spec
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from invented import SOURCE, TARGET, labelled_texts, world_recipe, write_csv, write_world
from lingraft.backbones.loading import empty_stack, load_tokenizer
from lingraft.core.errors import ConfigError, DataError
from lingraft.core.files import read_lines, read_object
from lingraft.core.progress import Advance
from lingraft.experiments.baselines import hf_trainer, setfit
from lingraft.experiments.baselines.libraries import Given
from lingraft.experiments.cost import estimates
from lingraft.experiments.methods import list_methods
from lingraft.experiments.peers import count_work
from lingraft.experiments.possible import describe_left_out, settle_methods
from lingraft.experiments.worker import run_method
from lingraft.runs.checks import gather_checked
from lingraft.runs.frozen_states import tokenise
from quick_run import quick_compare
from tiny import WORDS

needs_trainer = pytest.mark.skipif(find_spec("accelerate") is None, reason="transformers' Trainer needs accelerate")
needs_setfit = pytest.mark.skipif(find_spec("setfit") is None, reason="setfit is not installed")

TEXTS = [((text,), label) for text, label in labelled_texts(18)]
ASKED = [f"{WORDS[0]} {WORDS[12]}", f"{WORDS[4]} {WORDS[9]} {WORDS[13]}"]
TOPICS = sorted({label for _, label in TEXTS})


class Counting(Advance):
    """Counts the steps that are told."""

    steps = 0

    def __call__(self, amount=1, note=""):
        """Count it."""
        self.steps += amount


def labelled(folder, *, texts=TEXTS, **changes):
    """What a library is given: a dozen invented texts of three topics."""
    values = {
        "folder": folder,
        "texts": [text for text, _ in texts],
        "targets": [TOPICS.index(label) for _, label in texts],
        "classes": len(TOPICS),
        "max_length": 32,
        "learning_rate": 5e-5,
        "batch_size": 8,
        "epochs": 3,
        "max_steps": None,
        "seed": 7,
        "device": torch.device("cpu"),
    }
    return Given(**(values | changes))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def own_temporary(tmp_path, monkeypatch):
    """A folder of this test's own for temporary files, to see what is left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def recipe(world, checkpoint, output, *overrides, **compared):
    """A small recipe on the tiny checkpoint."""
    return world_recipe(
        world,
        [f"output_dir={output}", "device=cpu", "shots.k=1", "seeds=[1]", *overrides],
        backbone={"checkpoint": str(checkpoint), "max_length": 32, "text_prefix": "ada "},
        compare=compared,
    )


# ---- Hugging Face's Trainer ------------------------------------------------------------------------


def fine_tuned(folder, place, texts):
    """The example of transformers' documentation: logits of texts after fine-tuning on the labelled ones."""
    from datasets import Dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(7)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def encoded(columns):
        found = Dataset.from_dict(columns)
        return found.map(lambda row: tokenizer(row["text"], truncation=True, max_length=32), batched=True)

    columns = {"text": [text for (text,), _ in TEXTS], "label": [TOPICS.index(label) for _, label in TEXTS]}
    trainer = Trainer(
        model=model,
        args=TrainingArguments(output_dir=str(place), seed=7, report_to="none", use_cpu=True),
        train_dataset=encoded(columns),
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    trainer.train()
    return torch.as_tensor(trainer.predict(encoded({"text": texts})).predictions)


@needs_trainer
def test_the_trainer_is_that_of_the_documentation(tiny_checkpoint, tmp_path, own_temporary):
    """Same seed, same texts: the same logits as a user gets who writes it in a dozen lines; and nothing is left."""
    counted = Counting()
    learnt = hf_trainer.train(labelled(tiny_checkpoint), counted)
    expected = fine_tuned(tiny_checkpoint, tmp_path / "theirs", ASKED)
    torch.testing.assert_close(learnt.logits([(text,) for text in ASKED]), expected, rtol=0, atol=1e-6)
    assert learnt.steps == counted.steps == 3 * math.ceil(18 / 8)
    assert list(own_temporary.iterdir()) == []


@needs_trainer
def test_pairs_of_texts_are_two_texts_of_one_row(tiny_checkpoint):
    """The second text matters, and so does which is which."""
    pairs = [((text, other), label) for ((text,), label), ((other,), _) in pairwise(TEXTS)]
    learnt = hf_trainer.train(labelled(tiny_checkpoint, texts=pairs, max_steps=1), Advance())
    a, b, c = WORDS[:3]
    one, turned, other = learnt.logits([(a, b), (b, a), (a, c)])
    assert (one - turned).abs().max() > 1e-5
    assert (one - other).abs().max() > 1e-5


@needs_trainer
@pytest.mark.checkpoint
def test_a_budget_of_steps_is_kept_on_the_embedded_checkpoint(e5):
    """All parameters learn, the word embeddings among them: two steps and no more."""
    from lingraft.backbones.checkpoint_files import checkpoint_folder

    learnt = hf_trainer.train(labelled(checkpoint_folder(e5.name), batch_size=2, max_steps=2), Advance())
    assert learnt.steps == 2
    assert learnt.trained == 117_505_920 + (384 * 384 + 384) + (384 * 3 + 3)  # with a pooler and a head
    assert learnt.logits([("query: bird",)]).shape == (1, 3)


# ---- SetFit ----------------------------------------------------------------------------------------


def fitted(folder, place, texts, **more):
    """The example of SetFit's documentation: probabilities of texts after training on the labelled ones."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(str(folder), device="cpu")
    columns = {"text": [text for (text,), _ in TEXTS], "label": [TOPICS.index(label) for _, label in TEXTS]}
    arguments = TrainingArguments(output_dir=str(place), seed=7, **more)
    trainer = Trainer(model=model, args=arguments, train_dataset=Dataset.from_dict(columns))
    trainer.train()
    return model.predict_proba(texts), trainer.st_trainer.state.global_step


@needs_setfit
@pytest.mark.parametrize("most", [None, 4])
def test_setfit_is_that_of_its_documentation(tiny_checkpoint, tmp_path, own_temporary, most):
    """Same seed, same texts: the same probabilities as a user gets, with a budget of steps and without one."""
    counted = Counting()
    own = {"learning_rate": 2e-5, "batch_size": 16, "epochs": 1}
    learnt = setfit.train(labelled(tiny_checkpoint, max_steps=most, **own), counted)
    expected, steps = fitted(tiny_checkpoint, tmp_path / "theirs", ASKED, max_steps=most or -1)
    found = learnt.logits([(text,) for text in ASKED]).softmax(-1)
    torch.testing.assert_close(found, expected.float(), rtol=0, atol=1e-5)
    assert learnt.steps == counted.steps == steps
    assert list(own_temporary.iterdir()) == []


@needs_setfit
@pytest.mark.checkpoint
def test_setfit_learns_from_the_embedded_checkpoint(e5):
    """All of the encoder, and logistic regression on what it makes of the texts."""
    from lingraft.backbones.checkpoint_files import checkpoint_folder

    few = [
        (("query: a goal",), "bird"),
        (("query: a match",), "bird"),
        (("query: a flu",), "stone"),
        (("query: a fever",), "stone"),
    ]
    learnt = setfit.train(labelled(checkpoint_folder(e5.name), texts=few, batch_size=2, max_steps=1), Advance())
    assert learnt.steps == 1
    assert learnt.trained == 117_505_920 + (384 * 384 + 384) + (384 + 1)  # with a pooler that it has no use for
    assert learnt.logits([("query: a penalty",), ("query: a cold",)]).argmax(-1).tolist() == [0, 2]


@needs_setfit
@settings(max_examples=25)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=24), st.integers(1, 20), st.integers(1, 3))
def test_steps_are_those_of_setfits_own_pairs(targets, batch_size, epochs):
    """Counted without making any: of thousands of texts there are millions."""
    from setfit.sampler import ContrastiveDataset

    pairs = len(ContrastiveDataset([f"text {i}" for i in range(len(targets))], targets, False))
    found = setfit.count_steps(targets, batch_size=batch_size, epochs=epochs)
    assert found == epochs * math.ceil(pairs / batch_size)


def test_labels_of_one_class_are_nothing_to_tell_apart(tiny_checkpoint):
    """Logistic regression would raise a traceback after all the pairs were learnt."""
    alike = [one for one in TEXTS if one[1] == TEXTS[0][1]]
    with pytest.raises(DataError, match="two classes or more"):
        setfit.train(labelled(tiny_checkpoint, texts=alike), Advance())


def test_a_class_without_a_label_has_next_to_no_probability():
    """Its logit is finite, for what is not finite is no number in a file."""
    found = setfit.log_of_classes([[0.25, 0.75]], [0, 2], 3)
    torch.testing.assert_close(found.softmax(-1), torch.tensor([[0.25, 0.0, 0.75]]))


# ---- As methods ------------------------------------------------------------------------------------


@needs_trainer
@pytest.mark.parametrize(("name", "arguments"), [("hf-trainer", "transformers"), ("setfit", "setfit")])
def test_defaults_are_the_librarys(world, tiny_checkpoint, tmp_path, name, arguments):
    """What the recipe of the method says of them is what the library says of itself, in the release that is here."""
    library = pytest.importorskip(arguments)
    theirs = library.TrainingArguments(output_dir=str(tmp_path / "x"))
    (method,) = list_methods(recipe(world, tiny_checkpoint, tmp_path / "out", methods=[name]))
    ours = method.recipe.train
    found = (
        (theirs.body_embedding_learning_rate, theirs.embedding_batch_size, theirs.embedding_num_epochs)
        if name == "setfit"
        else (theirs.learning_rate, theirs.per_device_train_batch_size, theirs.num_train_epochs)
    )
    assert (ours.backbone_learning_rate, ours.batch_size, ours.num_train_epochs) == found


@needs_trainer
def test_a_library_learns_from_the_labels_of_the_others(world, tiny_checkpoint, tmp_path, own_temporary):
    """24 labelled examples and 3 shots in batches of 8, three times; scored and written down like the rest."""
    names = ["frozen-head", "hf-trainer", *(["setfit"] if find_spec("setfit") else [])]
    out = tmp_path / "out"
    quick_compare(recipe(world, tiny_checkpoint, out, methods=names, max_steps={"setfit": 3} if names[2:] else {}))
    facts = {one["name"]: one for one in read_object(out / "comparison.json")["methods"]}
    assert {name: one["steps"]["k1-draw0-seed1"] for name, one in facts.items()} == dict(
        zip(names, (0, 3 * 4, 3), strict=False)
    )
    assert len({one["labels"]["k1-draw0-seed1"] for one in facts.values()}) == 1
    assert "transformers " in facts["hf-trainer"]["about"]
    scores = list(read_lines(out / "scores.jsonl"))
    for name in names:
        answers = list(read_lines(out / name / "predictions" / "k1-draw0-seed1" / f"{TARGET}.jsonl"))
        right = sum(row["value"] == row["gold"] for row in answers) / len(answers)
        wanted = {"method": name, "language": TARGET, "metric": "accuracy", "precision": "float32"}
        (own,) = (row for row in scores if wanted.items() <= row.items())
        assert own["value"] == pytest.approx(right)
        assert all(1 / 3 <= row["confidence"] <= 1 for row in answers)
        assert len(list(read_lines(out / name / "trials" / "k1-draw0-seed1" / "development.jsonl"))) == 9
    assert list(own_temporary.iterdir()) == []
    assert "`hf-trainer`" in (out / "README.md").read_text()


@needs_trainer
def test_trials_differ_by_seed_and_by_order(world, tiny_checkpoint, tmp_path):
    """A seed is that of the head, of dropout and of the order; `orders` changes the last alone."""
    found = recipe(world, tiny_checkpoint, tmp_path / "out", "orders=[1,2]", methods=["hf-trainer"])
    (method,) = list_methods(found)
    run_method(method, found)
    folder = tmp_path / "out" / "hf-trainer" / "predictions"
    answers = [
        [row["confidence"] for row in read_lines(folder / f"k1-draw0-seed1-order{order}" / f"{TARGET}.jsonl")]
        for order in (1, 2)
    ]
    assert answers[0] != answers[1]


@needs_trainer
def test_rates_of_a_library_are_tried_without_a_test_set(world, tiny_checkpoint, tmp_path):
    """The best on the source language is used, as for any other method."""
    few = {"tuning_epochs": 1, "max_steps": {"hf-trainer": 2}}
    found = recipe(
        world,
        tiny_checkpoint,
        tmp_path / "out",
        methods=["hf-trainer"],
        learning_rates={"hf-trainer": [1e-9, 1e-3]},
        **few,
    )
    (method,) = list_methods(found)
    run_method(method, found)
    tried = read_object(tmp_path / "out" / "hf-trainer" / "method.json")["learning_rate"]
    assert tried["tried"][f"{tried['value']:g}"] == max(tried["tried"].values())
    assert set(tried["tried"]) == {"1e-09", "0.001"}
    for folder in (tmp_path / "out" / "tuning" / "hf-trainer").iterdir():
        assert not (folder / "predictions").exists()


def test_a_package_that_is_missing_is_said_with_what_to_install(world, tiny_checkpoint, tmp_path, monkeypatch):
    """Who names no methods gets the others; who names it gets an error before anything is read."""
    monkeypatch.setitem(sys.modules, "setfit", None)
    settled, left_out = settle_methods(recipe(world, tiny_checkpoint, tmp_path))
    assert "setfit" not in settled.compare.methods
    assert "setfit (needs setfit" in describe_left_out(left_out)
    assert left_out["setfit"].endswith('pip install "lingraft[peers]"')
    for compared in ({"methods": ["setfit"]}, {"max_steps": {"setfit": 5}}, {"variants": {"x": {"method": "setfit"}}}):
        with pytest.raises(
            ConfigError, match=r'needs setfit.*pip install "lingraft\[peers\]", or leave the method out'
        ):
            settle_methods(recipe(world, tiny_checkpoint, tmp_path, **compared))


def test_steps_are_bounded_of_methods_that_count_them(world, tiny_checkpoint, tmp_path):
    """A budget that nobody keeps would be another method than the one that is named."""
    found = recipe(
        world, tiny_checkpoint, tmp_path, methods=["hf-trainer", "lingraft"], max_steps={"lingraft": 5, "setfit": 5}
    )
    with pytest.raises(ConfigError) as caught:
        list_methods(found)
    assert caught.value.problems == [
        "compare.max_steps.lingraft: of hf-trainer and setfit alone; others have epochs, train.num_train_epochs",
        "compare.max_steps.setfit: no such method is compared; compared are hf-trainer, lingraft",
    ]
    bounded = recipe(world, tiny_checkpoint, tmp_path, methods=["hf-trainer"], max_steps={"hf-trainer": 5})
    assert list_methods(bounded)[0].options == {"max_steps": 5}


@needs_trainer
@needs_setfit
def test_setfit_says_of_pairs_that_it_reads_single_texts(tmp_path, tiny_checkpoint):
    """Its row has no numbers; the Trainer takes them, and is in the table."""
    texts = labelled_texts(30)
    parts = [(SOURCE, "train", 0, 12), (SOURCE, "dev", 12, 18), (TARGET, "train", 18, 24), (TARGET, "test", 24, 30)]
    for language, split, first, last in parts:
        rows = [(f"{split}{i}", text, text, label) for i, (text, label) in enumerate(texts[first:last])]
        write_csv(tmp_path / f"{language}.{split}.csv", ["key", "a", "b", "topic"], rows)
    task = {
        "name": "classification", "source_language": SOURCE, "target_languages": [TARGET], "data_dir": str(tmp_path),
        "files": {split: f"{{language}}.{split}.csv" for split in ("train", "dev", "test")},
        "fields": {"text": "a", "text_b": "b", "label": "topic", "id": "key"},
    }  # fmt: skip
    found = recipe(tmp_path, tiny_checkpoint, tmp_path / "out", "shots.k=0", methods=["hf-trainer", "setfit"])
    found = type(found).model_validate(found.model_dump(by_alias=True) | {"task": task})
    quick_compare(found)
    facts = {one["name"]: one for one in read_object(tmp_path / "out" / "comparison.json")["methods"]}
    assert facts["setfit"]["impossible"] == "setfit classifies single texts, and these are pairs"
    assert facts["hf-trainer"]["steps"] == {"k0-draw0-seed1": 6}


def test_the_estimate_counts_the_steps_of_each_library(world, tiny_checkpoint, tmp_path):
    """27 texts, nine of each class: SetFit makes 2 x 243 pairs of them, the other has four batches in each epoch."""
    found = recipe(world, tiny_checkpoint, tmp_path, methods=["hf-trainer", "setfit"])
    materials, tokenizer = gather_checked(found), load_tokenizer(str(tiny_checkpoint))
    stack = empty_stack(str(tiny_checkpoint))
    tokenised = tokenise(materials, tokenizer, "ada ", found)
    (trainer,), (pairs,) = (count_work(one, materials, tokenised, stack) for one in list_methods(found))
    (draw,) = materials.draws
    lengths = [len(tokenizer("ada " + one.texts[0])["input_ids"]) for one in (*draw.labelled, *draw.shots[TARGET])]
    assert len(lengths) == 27
    assert (trainer.steps, pairs.steps) == (3 * 4, 31)
    assert trainer.tokens == round(12 * 8 * sum(lengths) / 27)
    assert pairs.tokens == round(31 * 2 * 16 * sum(lengths) / 27)
    assert trainer.trained == pairs.trained == sum(parameter.numel() for parameter in stack.parameters())


def test_a_budget_makes_the_estimate_smaller(world, tiny_checkpoint, tmp_path):
    """What `--dry-run` says is of the steps that will be taken."""
    names = ["hf-trainer", "setfit"]
    recipes = [
        recipe(world, tiny_checkpoint, tmp_path, methods=names, max_steps=dict.fromkeys(names, most))
        for most in (1000, 3)
    ]
    free, bounded = (
        {one.method.name: one.seconds for one in estimates(list_methods(found), found)} for found in recipes
    )
    assert free.keys() == bounded.keys() == set(names)
    assert all(bounded[name] < free[name] for name in names)
